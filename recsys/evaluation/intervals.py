"""Confidence intervals of an AUC, and of the difference between two runs.

Paper: DeLong et al., "Comparing the Areas under Two or More Correlated ROC Curves", 1988; computed from tied ranks in
O(B log B) as in Sun and Xu, "Fast Implementation of DeLong's Algorithm", 2014, section III.
DIFF: the intervals are cut at the ends of the scale.

Both methods take rows as independent. Rows of one user are not, so that real intervals are somewhat wider.
"""

from math import erfc, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Labelled, check
from recsys.evaluation.ranking import auc_of_ties
from recsys.evaluation.ties import tie_runs

__all__ = ["Z95", "AucDifference", "AucInterval", "auc_difference", "auc_interval"]

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


class AucInterval(NamedTuple):
    """An AUC and its 95 % interval."""

    value: float
    low: float
    high: float


class AucDifference(NamedTuple):
    """AUC of run a minus AUC of run b, on the same rows."""

    difference: float
    low: float
    high: float
    """`low` and `high` are the ends of the 95 % interval."""
    p_value: float
    """Two-sided probability of a difference this large between equally good models."""


def auc_interval(score: npt.ArrayLike, label: npt.ArrayLike) -> AucInterval:
    """Return the AUC with its 95 % interval by DeLong's method.

    Args:
        score: (B,) as for `auc`.
        label: (B,) 0 or 1. There is no form with weights or soft labels.

    Returns:
        NaN throughout with one class only; NaN ends with fewer than 2 positives or 2 negatives.

    Raises:
        ValueError: scores are NaN, or a label is not 0 or 1.
    """
    rows = _check_hard(score, label)
    if not _has_both(rows.label):
        return AucInterval(float("nan"), float("nan"), float("nan"))
    ties = tie_runs(rows)
    value = auc_of_ties(ties)
    positives, negatives = ties.positive.sum(), ties.negative.sum()
    if min(positives, negatives) < 2:
        return AucInterval(value, float("nan"), float("nan"))
    # Share of the other class that an entry's positives beat, and that its negatives lose to.
    beaten = (np.cumsum(ties.negative) - 0.5 * ties.negative) / negatives
    beating = 1.0 - (np.cumsum(ties.positive) - 0.5 * ties.positive) / positives
    variance = np.sum(ties.positive * (beaten - value) ** 2) / ((positives - 1.0) * positives)
    variance += np.sum(ties.negative * (beating - value) ** 2) / ((negatives - 1.0) * negatives)
    margin = Z95 * sqrt(variance)
    return AucInterval(value, max(value - margin, 0.0), min(value + margin, 1.0))


def auc_difference(score_a: npt.ArrayLike, score_b: npt.ArrayLike, label: npt.ArrayLike) -> AucDifference:
    """Return how much better run a ranks than run b on the same rows, by DeLong's paired test.

    Pairing matters: two runs are right and wrong about the same rows, so their difference is far surer than either.

    Args:
        score_a: (B,) scores of one model.
        score_b: (B,) scores of the other, row by row.
        label: (B,) 0 or 1.

    Returns:
        NaN throughout with one class only; equal rankings give a difference of 0 and a p value of 1.

    Raises:
        ValueError: scores are NaN, a label is not 0 or 1, or the lengths differ.
    """
    rows_a, rows_b = _check_hard(score_a, label), _check_hard(score_b, label)
    is_positive = rows_a.label
    counts = int(is_positive.sum()), int((~is_positive).sum())
    if min(counts) == 0:
        return AucDifference(float("nan"), float("nan"), float("nan"), float("nan"))
    gain = _placements(rows_a) - _placements(rows_b)
    difference = float(gain[is_positive].mean())
    if min(counts) < 2:
        return AucDifference(difference, float("nan"), float("nan"), float("nan"))
    variance = float(gain[is_positive].var(ddof=1)) / counts[0] + float(gain[~is_positive].var(ddof=1)) / counts[1]
    margin = Z95 * sqrt(variance)
    p_value = erfc(abs(difference) / sqrt(2 * variance)) if variance > 0 else float(difference == 0)
    return AucDifference(difference, max(difference - margin, -1.0), min(difference + margin, 1.0), p_value)


def _placements(rows: Labelled) -> npt.NDArray[np.float64]:
    """Return (B,) for each positive the share of negatives it beats, for each negative that of positives beating it.

    The mean over the positives is the AUC, and so is the mean over the negatives.
    """
    order = np.argsort(rows.score)
    score, is_positive = rows.score[order], rows.label[order]
    last = np.append(score[1:] != score[:-1], True)
    size = np.diff(np.flatnonzero(last), prepend=-1)
    positives_up_to = np.cumsum(is_positive)
    negatives_up_to = np.arange(1, len(score) + 1) - positives_up_to
    placed = np.empty(len(score))
    below = _halved(negatives_up_to[last], size) / negatives_up_to[-1]
    above = 1.0 - _halved(positives_up_to[last], size) / positives_up_to[-1]
    placed[order] = np.where(is_positive, below, above)
    return placed


def _halved(up_to: npt.NDArray[Any], size: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return (B,) how many lie below each row, ties counting half, from the counts up to each distinct score."""
    return np.repeat(up_to - 0.5 * np.diff(up_to, prepend=0), size)


def _check_hard(score: npt.ArrayLike, label: npt.ArrayLike) -> Labelled:
    rows = check(score, label)
    if not rows.is_hard:
        raise ValueError("label: must be 0 or 1 for an interval, got values between them")
    return rows


def _has_both(label: npt.NDArray[Any]) -> bool:
    return bool(label.any()) and not bool(label.all())
