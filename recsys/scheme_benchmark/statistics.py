"""How sure a mean over seeds is, and which of several schemes to take. Pure functions.

Two things make an AUC uncertain. The test rows are a sample: DeLong's method says how much that matters, and as all
seeds are judged by the same rows, more seeds do not make it less. Training is random: the spread of the seeds says how
much that matters, and it does get less with more of them. The two variances are added; as few seeds tell their spread
only roughly, Student's t takes the place of the normal distribution, with the degrees of freedom of Welch and
Satterthwaite: nearly those of the seeds where their spread dominates, nearly infinitely many where the rows do.
"""

from collections.abc import Callable, Sequence
from math import isnan, nan, sqrt
from statistics import fmean, variance
from typing import NamedTuple

import numpy as np

__all__ = ["Z95", "Candidate", "Estimate", "Recommendation", "estimate", "recommend", "t_quantile"]

Z95 = 1.959963984540054
_T95 = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    6: 2.447,
    7: 2.365,
    8: 2.306,
    10: 2.228,
    12: 2.179,
    15: 2.131,
    20: 2.086,
    30: 2.042,
    60: 2.000,
    120: 1.980,
}
"""97.5 % quantiles of Student's t by degrees of freedom (any table has them)."""
NEAR = 0.9
"""A scheme that trains at this share of the fastest one's rate trains as fast: repeated runs differ by that much."""


class Estimate(NamedTuple):
    """A value and half of its 95 % interval; the half is NaN where nothing is known of its spread."""

    value: float
    half: float

    @property
    def is_noise(self) -> bool:
        """Whether 0 is in the interval, or nobody can say that it is not."""
        return not abs(self.value) > self.half

    def __str__(self) -> str:
        """Write it for people.

        >>> str(Estimate(-0.00123, 0.0005)), str(Estimate(0.1, nan))
        ('-0.0012 +- 0.0005', '+0.1000')
        """
        half = "" if isnan(self.half) else f" +- {self.half:.4f}"
        return f"{self.value:+.4f}{half}"


def estimate(values: Sequence[float], sampling: Sequence[float] | None) -> Estimate:
    """Return the mean over seeds and its 95 % interval.

    Args:
        values: one for each seed, at least one.
        sampling: variance of each that comes from the test rows, where it is known.
    """
    of_rows = fmean(sampling) if sampling is not None else 0.0
    of_seeds = variance(values) / len(values) if len(values) > 1 else 0.0
    if len(values) == 1 and sampling is None:
        return Estimate(values[0], nan)
    total = of_rows + of_seeds
    freedom = (len(values) - 1) * (total / of_seeds) ** 2 if of_seeds > 0 else float("inf")
    return Estimate(fmean(values), t_quantile(freedom) * sqrt(total))


def t_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t, to 0.5 % (linear in 1 / degrees of freedom).

    >>> round(t_quantile(2), 3), round(t_quantile(9), 2), round(t_quantile(float("inf")), 2)
    (4.303, 2.26, 1.96)
    """
    places = sorted((1 / degrees, value) for degrees, value in _T95.items())
    inverse, quantiles = zip((0.0, Z95), *places, strict=True)
    return float(np.interp(1 / freedom, inverse, quantiles))


class Candidate(NamedTuple):
    """A scheme that keeps to a budget, its figures means over seeds."""

    name: str
    auc: float
    stages: int
    """Stages of training."""
    rows_per_second: float
    lookup_ms: float


class Recommendation(NamedTuple):
    """Which scheme to take at a budget."""

    choice: Candidate
    ranking: list[Candidate]
    """All candidates, the best AUC first."""
    lead: Estimate | None
    """Of the best over the next one; None where there is no other."""
    equals: list[Candidate]
    """Those that the best is not surely better than, and the best itself."""


def recommend(candidates: Sequence[Candidate], difference: Callable[[str, str], Estimate]) -> Recommendation:
    """Choose among the schemes that cannot be told from the best one.

    The rule: fewest stages of training; of these, those that train at `NEAR` of the fastest one's rate or more; of
    these, the lowest lookup time at inference.

    Args:
        candidates: at least one.
        difference: AUC of a scheme minus that of another.
    """
    ranking = sorted(candidates, key=lambda one: (-one.auc, one.name))
    best, *others = ranking
    lead = difference(best.name, others[0].name) if others else None
    equals = [best, *(other for other in others if difference(best.name, other.name).is_noise)]
    fewest = min(one.stages for one in equals)
    simple = [one for one in equals if one.stages == fewest]
    fastest = max(one.rows_per_second for one in simple)
    fast = [one for one in simple if one.rows_per_second >= NEAR * fastest]
    return Recommendation(min(fast, key=lambda one: one.lookup_ms), ranking, lead, equals)
