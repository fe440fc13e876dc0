"""The uncertainty of a mean over seeds, and which of several schemes to recommend. Pure functions.

An AUC is uncertain for two reasons. The test rows are a sample: DeLong's method estimates that variance, which more
seeds do not reduce, because all seeds are evaluated on the same rows. Training is random: the variance between seeds
estimates that part, which more seeds do reduce. The two variances are added. Because few seeds estimate a variance
only roughly, Student's t takes the place of the normal distribution, with the degrees of freedom of Welch and
Satterthwaite: nearly those of the seeds where their variance dominates, nearly infinitely many where that of the rows
does.
"""

from collections.abc import Callable, Sequence
from math import isnan, nan, sqrt
from statistics import fmean, variance
from typing import NamedTuple

import numpy as np

from recsys.evaluation.intervals import Z95

__all__ = ["RankedScheme", "Estimate", "Recommendation", "estimate", "recommend", "t_quantile"]

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
"""97.5 % quantiles of Student's t by degrees of freedom, as in any table."""
SIMILAR_RATE = 0.9
"""A scheme at this fraction of the fastest one's training rate counts as equally fast: repeated runs differ so much."""


class Estimate(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    half_width: float
    """Half of the interval's width; NaN if the variance is not known."""

    @property
    def is_significant(self) -> bool:
        """Whether the interval is known and excludes 0."""
        return abs(self.value) > self.half_width

    def __str__(self) -> str:
        """Return the value and the half width, to four digits.

        >>> str(Estimate(-0.00123, 0.0005)), str(Estimate(0.1, nan))
        ('-0.0012 +- 0.0005', '+0.1000')
        """
        half = "" if isnan(self.half_width) else f" +- {self.half_width:.4f}"
        return f"{self.value:+.4f}{half}"


def estimate(values: Sequence[float], sampling: Sequence[float] | None) -> Estimate:
    """Return the mean over seeds and its 95 % interval.

    Args:
        values: one for each seed, at least one.
        sampling: the variance of each value that comes from the sample of test rows; None if it is not known.
    """
    row_variance = fmean(sampling) if sampling is not None else 0.0
    seed_variance = variance(values) / len(values) if len(values) > 1 else 0.0
    if len(values) == 1 and sampling is None:
        return Estimate(values[0], nan)
    total = row_variance + seed_variance
    freedom = (len(values) - 1) * (total / seed_variance) ** 2 if seed_variance > 0 else float("inf")
    return Estimate(fmean(values), t_quantile(freedom) * sqrt(total))


def t_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t, to 0.5 % (linear in 1 / degrees of freedom).

    >>> round(t_quantile(2), 3), round(t_quantile(9), 2), round(t_quantile(float("inf")), 2)
    (4.303, 2.26, 1.96)
    """
    points = sorted((1 / degrees, value) for degrees, value in _T95.items())
    inverse, quantiles = zip((0.0, Z95), *points, strict=True)
    return float(np.interp(1 / freedom, inverse, quantiles))


class RankedScheme(NamedTuple):
    """A scheme that keeps to a budget, with the figures that the recommendation depends on: means over seeds."""

    name: str
    auc: float
    num_stages: int
    """Stages of its training."""
    rows_per_second: float
    lookup_ms: float


class Recommendation(NamedTuple):
    """The scheme that is recommended at a budget, and why."""

    choice: RankedScheme
    """The recommended scheme."""
    ranking: list[RankedScheme]
    """All schemes, the best AUC first."""
    lead: Estimate | None
    """AUC of the best minus that of the second; None if there is no second."""
    contenders: list[RankedScheme]
    """The best scheme, and those that are not significantly worse."""


def recommend(candidates: Sequence[RankedScheme], difference: Callable[[str, str], Estimate]) -> Recommendation:
    """Choose among the schemes that are not significantly worse than the best one.

    The rule: the fewest stages of training; of these, those that train at `SIMILAR_RATE` of the fastest one's rate or
    more; of these, the lowest lookup time at inference.

    Args:
        candidates: the schemes, at least one.
        difference: given two names, returns the AUC of the first minus that of the second.
    """
    ranking = sorted(candidates, key=lambda one: (-one.auc, one.name))
    best, *others = ranking
    lead = difference(best.name, others[0].name) if others else None
    contenders = [best, *(other for other in others if not difference(best.name, other.name).is_significant)]
    fewest = min(one.num_stages for one in contenders)
    simple = [one for one in contenders if one.num_stages == fewest]
    fastest = max(one.rows_per_second for one in simple)
    fast = [one for one in simple if one.rows_per_second >= SIMILAR_RATE * fastest]
    return Recommendation(min(fast, key=lambda one: one.lookup_ms), ranking, lead, contenders)
