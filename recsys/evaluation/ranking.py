"""Exact AUC and GAUC: ties count half, rows may be weighted.

Binned AUC, which most training frameworks report, is off by several hundredths when clicks are rare.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import check
from recsys.evaluation.ties import Ties, group_codes, tie_runs

__all__ = ["NO_GROUP", "GroupedAuc", "auc", "gauc", "rela_impr"]


NO_GROUP = -(2**63)
"""Integer of a row without a group, such as a null user; it is the key of null in prepared data."""


class GroupedAuc(NamedTuple):
    """AUC within groups, averaged over impressions."""

    value: float
    """NaN when no group has both classes."""
    groups_used: int
    groups_skipped: int
    """Groups with one class only: nothing in them can be ranked."""
    impressions_used: float
    """Rows of the groups used, or their weight."""
    rows_without_group: int = 0
    """Rows that are left out since they have no group."""


def auc(score: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Return the probability that a positive is scored above a negative; a tie counts half.

    Args:
        score: (B,) any increasing function of the prediction; probabilities and logits give the same AUC unless
            rounding makes ties.
        label: (B,) 0 or 1. A value y between them counts as y of a positive and 1 - y of a negative.
        weight: (B,) weight of each row; every row counts once when not given.

    Returns:
        A number between 0 and 1; NaN if there are no positives or no negatives. Without weights, and with labels 0
        and 1, the pairs are counted in integers (exact for fewer than 2**31 rows of each class).

    Raises:
        ValueError: scores are NaN (the message says how many), or an argument is not as described.

    Example:
        >>> auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1])
        0.875
    """
    rows = check(score, label, weight)
    if len(rows.score) == 0:
        return float("nan")
    return auc_of_ties(tie_runs(rows))


def gauc(
    score: npt.ArrayLike,
    label: npt.ArrayLike,
    group: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
) -> GroupedAuc:
    """Return the mean of each group's AUC, weighted by its impressions; groups of one class are left out.

    Rows without a group are left out too: they are not the rows of one user.

    Paper: Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", 2018, section 6.3.
    DIFF: the paper does not say what happens to users without both classes; here they are left out and counted.

    Args:
        score: (B,) as for `auc`.
        label: (B,) as for `auc`.
        group: (B,) integers or text, usually the user. None, NaN and `NO_GROUP` are no group.
        weight: (B,) weight of each row. A group then weighs the sum of its rows' weights.

    Raises:
        ValueError: as for `auc`, or `group` has another shape.

    Example:
        >>> gauc([0.2, 0.7, 0.5, 0.5, 0.9], [0, 1, 0, 1, 1], ["ann", "ann", "bob", "bob", "eve"])
        GroupedAuc(value=0.75, groups_used=2, groups_skipped=1, impressions_used=4.0, rows_without_group=0)
    """
    rows = check(score, label, weight)
    groups = np.asarray(group)
    if groups.shape != rows.score.shape:
        raise ValueError(f"group: must have shape {rows.score.shape}, as score has, got shape {groups.shape}")
    has_group = _has_group(groups)
    num_left = int(np.count_nonzero(has_group))
    if num_left == 0:
        return GroupedAuc(float("nan"), 0, 0, 0.0, len(groups))
    if num_left < len(groups):
        rows, groups = rows.take(has_group), groups[has_group]
    return gauc_of_ties(tie_runs(rows, group_codes(groups)))._replace(rows_without_group=len(has_group) - num_left)


def _has_group(groups: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which rows have a group, (B,)."""
    if np.issubdtype(groups.dtype, np.signedinteger):
        return np.asarray(groups != NO_GROUP)
    if np.issubdtype(groups.dtype, np.floating):
        return np.asarray(~np.isnan(groups))
    if groups.dtype == np.object_:
        return np.array([value is not None and value == value for value in groups], np.bool_)
    return np.ones(len(groups), np.bool_)


def rela_impr(auc_model: float, auc_base: float) -> float:
    """Return by how many percent the AUC above 0.5 is larger than that of the base model (DIN, section 6.3).

    A random model scores -100; NaN when the base model is itself random.

    Example:
        >>> round(rela_impr(0.6083, 0.5970), 2)
        11.65
    """
    if auc_base == 0.5:
        return float("nan")
    return ((auc_model - 0.5) / (auc_base - 0.5) - 1.0) * 100.0


def auc_of_ties(ties: Ties) -> float:
    """Return the AUC over all entries, which must be of one group; NaN with one class."""
    positives, negatives = ties.positive.sum(), ties.negative.sum()
    if positives == 0 or negatives == 0:
        return float("nan")
    doubled = np.sum(ties.positive * _below_or_half(ties))
    return float(doubled) / (2.0 * float(positives) * float(negatives))


def gauc_of_ties(ties: Ties) -> GroupedAuc:
    """Return GAUC from entries ordered by group."""
    positives = np.add.reduceat(ties.positive, ties.first)
    negatives = np.add.reduceat(ties.negative, ties.first)
    doubled = np.add.reduceat(ties.positive * _below_or_half(ties), ties.first)
    used = (positives > 0) & (negatives > 0)
    impressions = (positives + negatives)[used].astype(np.float64)
    total = float(impressions.sum())
    pairs = 2.0 * positives[used].astype(np.float64) * negatives[used]
    value = float(np.sum(impressions * (doubled[used] / pairs))) / total if used.any() else float("nan")
    return GroupedAuc(value, int(used.sum()), int(len(used) - used.sum()), total)


def _below_or_half(ties: Ties) -> npt.NDArray[Any]:
    """Return (R,) twice the mass of the group's negatives below each score, plus the mass tied with it.

    Differences of one long running sum cancel: a group of weight 10 among 1e7 would keep 10 digits in float64.
    Integers are exact, and long doubles (64 bits of mantissa on x86) keep 13.
    """
    is_count = ties.negative.dtype == np.int64
    exact = ties.negative if is_count else ties.negative.astype(np.longdouble)
    before = np.cumsum(exact) - exact
    size = np.diff(ties.first, append=len(before))
    within = before - np.repeat(before[ties.first], size)
    doubled: npt.NDArray[Any] = (2 * within + exact).astype(ties.negative.dtype, copy=False)
    return doubled
