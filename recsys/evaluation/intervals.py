"""Confidence intervals of figures, and of differences of figures, from influence values.

The influence value u of a row is how much the figure moves for the row being there. The values sum to 0, and the sum of
their squares is the variance of the figure: that is all an interval needs, whatever the figure. The difference of two
models on the same rows has the differences of their values, so that what both get right or wrong cancels.

Paper: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 21 and 22 (the influence function and
the infinitesimal jackknife).

Rows are taken as independent, except by metrics within groups, which take groups as independent. Rows of one user are
not, so that real intervals of the others are somewhat wider.

Dimension key: B rows.
"""

from math import erfc, inf, isnan, nan, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats
from recsys.evaluation.ranking import auc, auc_influence, rela_impr

__all__ = [
    "Z95",
    "Difference",
    "Interval",
    "auc_difference",
    "auc_interval",
    "difference",
    "interval",
    "rela_impr_interval",
]

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


class Interval(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float
    """`low` and `high` are NaN where the rows are too few for an interval."""


class Difference(NamedTuple):
    """A figure of model a minus that of model b, on the same rows, and its 95 % interval."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided probability of a difference this large between equally good models."""


def interval(value: float, influence_B: Floats, *, scale: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """Return the 95 % interval of a figure, cut at the ends of its scale.

    Args:
        value: the figure.
        influence_B: (B,) its influence values; NaN if it has none on these rows.
        scale: least and greatest value that the figure can have.

    Example:
        >>> round(interval(0.75, np.array([0.01, -0.01, 0.02, -0.02])).low, 4)
        0.688
    """
    margin = Z95 * sqrt(_sum_of_squares(influence_B))
    if isnan(value) or isnan(margin):
        return Interval(value, nan, nan)
    return Interval(value, max(value - margin, scale[0]), min(value + margin, scale[1]))


def difference(
    value_a: float,
    value_b: float,
    influence_a_B: Floats,
    influence_b_B: Floats,
    *,
    scale: tuple[float, float] = (-inf, inf),
) -> Difference:
    """Return a figure of model a minus that of model b, with its paired 95 % interval.

    Args:
        value_a: the figure of model a.
        value_b: the figure of model b.
        influence_a_B: (B,) the influence values of model a.
        influence_b_B: (B,) those of model b, row by row.
        scale: least and greatest value that the difference can have.

    Example:
        >>> round(difference(0.75, 0.7, np.array([0.01, -0.01]), np.array([0.02, -0.02])).p_value, 4)
        0.0004
    """
    value = value_a - value_b
    variance = _sum_of_squares(influence_a_B - influence_b_B)
    if isnan(value) or isnan(variance):
        return Difference(value, nan, nan, nan)
    margin = Z95 * sqrt(variance)
    p_value = erfc(abs(value) / sqrt(2 * variance)) if variance > 0 else float(value == 0)
    return Difference(value, max(value - margin, scale[0]), min(value + margin, scale[1]), p_value)


def rela_impr_interval(
    auc_model: float, auc_base: float, influence_model_B: Floats, influence_base_B: Floats
) -> Interval:
    """Return `rela_impr` with its 95 % interval, paired by rows, in percent.

    Args:
        auc_model: AUC of the model.
        auc_base: AUC of the base model on the same rows; far above 0.5, or else the ratio says nothing.
        influence_model_B: (B,) influence values of the AUC of the model.
        influence_base_B: (B,) those of the base model, row by row.
    """
    value = rela_impr(auc_model, auc_base)
    if isnan(value):
        return Interval(value, nan, nan)
    ratio = 1 + value / 100
    influence = (influence_model_B - ratio * influence_base_B) * (100 / (auc_base - 0.5))
    return interval(value, influence, scale=(-inf, inf))


def auc_interval(score: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Interval:
    """Return the AUC with its 95 % interval; that of DeLong et al. (1988) for labels 0 and 1 without weights.

    Arguments and errors are those of `auc`.

    Returns:
        NaN throughout with one class only; NaN ends with fewer than 2 positives or 2 negatives.
    """
    return interval(auc(score, label, weight), auc_influence(score, label, weight))


def auc_difference(
    score_a: npt.ArrayLike, score_b: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> Difference:
    """Return how much better model a ranks than model b on the same rows; DeLong's paired test.

    Pairing matters: two models are right and wrong about the same rows, so their difference is far surer than either.

    Args:
        score_a: (B,) scores of one model.
        score_b: (B,) scores of the other, row by row.
        label: (B,) as for `auc`.
        weight: (B,) as for `auc`.

    Returns:
        NaN throughout with one class only; equal rankings give a difference of 0 and a p value of 1.

    Raises:
        ValueError: an argument is not as for `auc`, or the lengths differ.
    """
    values = [auc(score, label, weight) for score in (score_a, score_b)]
    influences = [auc_influence(score, label, weight) for score in (score_a, score_b)]
    return difference(values[0], values[1], influences[0], influences[1], scale=(-1.0, 1.0))


def _sum_of_squares(values_B: Floats) -> float:
    return float(np.dot(values_B, values_B))
