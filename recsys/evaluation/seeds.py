"""Figures that rows and seeds make uncertain: their variance, interval and p value.

A figure is uncertain for two reasons. The test rows are a sample; more seeds do not reduce that part, because all seeds
are evaluated on the same rows. Training is random: the figures of several seeds show how much, and more seeds do reduce
that part. The two variances are added. Because few seeds estimate a variance only roughly, Student's t takes the place
of the normal distribution, with the degrees of freedom of Welch and Satterthwaite: nearly those of the seeds where
their variance dominates, nearly infinitely many where that of the rows does. With two seeds that is too few where the
seeds vary much more than the rows: equal models are then called different in up to 12 % of cases, with three in 8 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isnan, nan, sqrt
from statistics import fmean, stdev, variance
from typing import NamedTuple

from recsys.evaluation.student import t_p_value, t_quantile

__all__ = ["ALPHA", "Estimate", "Spread", "estimate", "estimate_difference", "spread"]

ALPHA = 0.05
"""Share of equal models that may be called different."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, or a difference between two, with what makes it uncertain."""

    value: float
    variance: float
    """NaN if it is not known."""
    freedom: float = inf
    """Degrees of freedom of the variance."""
    seeds_variance: float = 0.0
    """The part of the variance that more seeds reduce; more rows reduce the rest."""

    def with_at_most(self, freedom: float) -> "Estimate":
        """Return it with no more degrees of freedom than so many, at least one: for variances that few rows estimate.

        >>> Estimate(0.1, 0.01).with_at_most(1).half_width > 6 * Estimate(0.1, 0.01).half_width
        True
        """
        return replace(self, freedom=min(self.freedom, max(freedom, 1.0)))

    @property
    def half_width(self) -> float:
        """Half of the width of the 95 % interval; NaN if the variance is not known."""
        return nan if isnan(self.variance) else t_quantile(self.freedom) * sqrt(self.variance)

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return self.value - self.half_width

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return self.value + self.half_width

    @property
    def p_value(self) -> float:
        """Two-sided probability of a value this far from 0 if the truth is 0; NaN if the variance is not known."""
        if isnan(self.variance) or isnan(self.value):
            return nan
        if self.variance == 0:
            return float(self.value == 0)
        return t_p_value(self.value / sqrt(self.variance), self.freedom)

    @property
    def is_significant(self) -> bool:
        """Whether the interval is known and excludes 0."""
        return self.p_value < ALPHA

    def __str__(self) -> str:
        """Return the value and half of the interval's width, to four digits.

        >>> str(Estimate(-0.00123, 0.0005**2)), str(Estimate(0.1, nan))
        ('-0.0012 +- 0.0010', '+0.1000')
        """
        half = "" if isnan(self.half_width) else f" +- {self.half_width:.4f}"
        return f"{self.value:+.4f}{half}"


def estimate(values: Sequence[float], *, rows: float | None, shared: float | None = None) -> Estimate:
    """Return the mean of a figure over seeds.

    Args:
        values: the figure of each seed, at least one: or of each pair of seeds their difference.
        rows: the variance of the mean that comes from the rows; None if it is not known.
        shared: the part of `rows` that is the same for all seeds. The rest is what rows and seeds do together, so that
            the variance between the seeds holds it too. Default: all of it.
    """
    return _estimate(fmean(values), [values], rows, shared)


def estimate_difference(
    first: Sequence[float], second: Sequence[float], *, rows: float | None, shared: float | None = None
) -> Estimate:
    """Return the mean of one model's seeds minus that of another model, whose seeds have nothing to do with them.

    Arguments are those of `estimate`; the numbers of seeds may differ. A model of one seed is taken to vary as the
    other one does.
    """
    return _estimate(fmean(first) - fmean(second), [first, second], rows, shared)


def _estimate(value: float, samples: Sequence[Sequence[float]], rows: float | None, shared: float | None) -> Estimate:
    many = [sample for sample in samples if len(sample) > 1]
    if not many:
        return Estimate(value, nan if rows is None else rows)
    variances = [variance(sample) / len(sample) for sample in many]
    if len(many) < len(samples):
        variances = [variances[0] * (1 + len(many[0]))]
    rows = rows or 0.0
    seeds = sum(variances)
    total = max(rows, (rows if shared is None else shared) + seeds)
    spent = sum(one**2 / (len(sample) - 1) for one, sample in zip(variances, many, strict=True))
    return Estimate(value, total, total**2 / spent if spent > 0 else inf, seeds)


class Spread(NamedTuple):
    """The mean of a figure over seeds, and how much it varies between them."""

    mean: float
    deviation: float
    """Standard deviation between seeds; NaN with one seed."""


def spread(values: Sequence[float]) -> Spread:
    """Return the mean and the standard deviation over seeds.

    >>> spread([0.25, 0.5, 0.75])
    Spread(mean=0.5, deviation=0.25)
    """
    return Spread(fmean(values), stdev(values) if len(values) > 1 else nan)
