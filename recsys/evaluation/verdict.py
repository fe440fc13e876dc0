"""Verdicts in words on the difference between two models: better, worse or not to be told apart, and what would tell.

Paper: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, isnan, log10
from typing import Literal

from recsys.evaluation.intervals import Z95
from recsys.evaluation.metrics import METRICS, metric_label
from recsys.evaluation.seeds import ALPHA, Estimate

__all__ = ["Verdict", "describe_difference", "holm", "needed_to_tell", "verdict"]

POWER_FACTOR = 0.8416212335729143
"""The 80 % quantile of the normal distribution: a difference is told in four of five tests."""
MOST_NEEDED = 1e12
"""More rows than anybody has."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one model is better than another, by one metric."""

    word: Literal["better", "worse", "undecided"]
    metric: str
    difference: Estimate
    p_value: float
    """Corrected if several were looked at."""
    rows_needed: int | None = None
    """Rows that would tell a difference as large as this one, with the seeds there are; None if rows alone cannot."""
    seeds_needed: int | None = None
    """Seeds of each model that would tell it on the rows there are; None if seeds alone cannot."""

    def sentence(self, first: str, second: str) -> str:
        """Say it of two models.

        >>> found = verdict("auc", Estimate(0.002, 0.0005**2), rows=10_000)
        >>> found.sentence("runs/new", "runs/old")
        'runs/new is better than runs/old: AUC +0.00200 (95 % interval +0.00102 to +0.00298)'
        """
        return f"{self.claim(first, second)}: {metric_label(self.metric)} {describe_difference(self.difference)}"

    def claim(self, first: str, second: str) -> str:
        """Say no more than which of two models is better.

        >>> verdict("logloss", Estimate(0.0, 0.1), rows=10).claim("a", "b")
        'a and b cannot be told apart'
        """
        if self.word == "undecided":
            return f"{first} and {second} cannot be told apart"
        return f"{first} is {self.word} than {second}"

    def what_would_tell(self) -> str:
        """Say how many rows or seeds would tell a difference as large as the one that was seen; "" if it is told.

        >>> verdict("auc", Estimate(0.001, 0.001**2), rows=10_000).what_would_tell()
        'If the difference is what it seems, about 79,000 rows would tell it'
        """
        if self.word != "undecided" or isnan(self.difference.value):
            return ""
        if self.difference.value == 0:
            return "They do not differ at all" if self.difference.variance == 0 else "No difference is to be seen"
        needed = {"rows": self.rows_needed, "seeds of each": self.seeds_needed}
        ways = [f"about {number:,} {what}" for what, number in needed.items() if number is not None]
        told = f"{' or '.join(ways) or 'neither rows nor seeds alone'} would tell it"
        return f"If the difference is what it seems, {told}"


def verdict(metric: str, difference: Estimate, *, rows: int, seeds: int = 1, p_value: float | None = None) -> Verdict:
    """Judge a difference.

    Args:
        metric: its name; one that is not registered is taken to be better when higher.
        difference: the metric of one model minus that of the other.
        rows: number of rows.
        seeds: number of seeds of each model.
        p_value: that of the difference, corrected by `holm` if several are looked at. Default: as it is.
    """
    p_value = difference.p_value if p_value is None else p_value
    needed = needed_to_tell(difference, rows=rows, seeds=seeds)
    if isnan(p_value) or p_value >= ALPHA:
        return Verdict("undecided", metric, difference, p_value, *needed)
    is_higher_better = METRICS[metric].higher_is_better if metric in METRICS else True
    return Verdict("better" if (difference.value > 0) == is_higher_better else "worse", metric, difference, p_value)


def needed_to_tell(difference: Estimate, *, rows: int, seeds: int) -> tuple[int | None, int | None]:
    """Return how many rows, or else how many seeds, would tell the difference in four of five tests.

    Returns:
        For each None if no number of them would, or none that anybody has.
    """
    if isnan(difference.variance) or isnan(difference.value):
        return None, None
    allowed = (difference.value / (Z95 + POWER_FACTOR)) ** 2
    of_seeds = difference.seeds_variance
    of_rows = difference.variance - of_seeds
    return _needed(rows, of_rows, allowed - of_seeds), _needed(seeds, of_seeds, allowed - of_rows)


def _needed(number: int, variance: float, allowed: float) -> int | None:
    """Return how many times as many make a variance as small as allowed, to two digits."""
    times = variance / allowed if allowed > 0 else inf
    if variance <= 0 or number * times > MOST_NEEDED:
        return None
    return _two_digits(max(number * times, number + 1.0))


def _two_digits(number: float) -> int:
    """Round up to two digits."""
    unit: int = 10 ** max(floor(log10(number)) - 1, 0)
    return ceil(number / unit) * unit


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values that may be compared with 0.05 although several differences were looked at.

    In order of size they are multiplied by the number of those that are not smaller; NaN counts as none.

    >>> holm([0.04, 0.01, 0.5])
    [0.08, 0.03, 0.5]
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if not isnan(p))
    corrected = list(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[place] = largest
    return corrected


def describe_difference(difference: Estimate) -> str:
    """Return a difference with its interval.

    >>> describe_difference(Estimate(0.00115, 0.0003**2))
    '+0.00115 (95 % interval +0.00056 to +0.00174)'
    """
    if isnan(difference.half_width):
        return f"{difference.value:+.4f} (no interval)"
    digits = 4 if difference.half_width == 0 else min(max(1 - floor(log10(difference.half_width)), 4), 8)
    value, low, high = (f"{one:+.{digits}f}" for one in (difference.value, difference.low, difference.high))
    return f"{value} (95 % interval {low} to {high})"
