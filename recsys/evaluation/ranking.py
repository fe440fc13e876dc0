"""Exact AUC and GAUC: ties count half, rows may be weighted.

Binned AUC, which most training frameworks report, is off by several hundredths when clicks are rare.

Beside each stand its influence values, from which its interval comes (`intervals.py`). Those of an AUC are the
structural components of DeLong et al., "Comparing the Areas under Two or More Correlated ROC Curves", 1988, computed
from tied ranks in O(B log B) as in Sun and Xu, "Fast Implementation of DeLong's Algorithm", 2014, section III.
DIFF: rows may have weights and labels between 0 and 1; each class then has as many rows as its effective number says.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats, Labelled, check, mean_influence, small_sample_factor
from recsys.evaluation.ties import SortedRuns, Ties, first_rows, group_codes, sorted_runs, tie_runs

__all__ = [
    "NO_GROUP",
    "GroupedAuc",
    "auc",
    "auc_influence",
    "gauc",
    "gauc_figures",
    "gauc_influence",
    "group_influence",
    "grouped_rows",
    "rela_impr",
]


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


def auc_influence(score: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Floats:
    """Return the influence value of each row on `auc`, (B,); arguments and errors are the same.

    A positive moves the AUC by how much more of the negatives it beats than positives do on average, and a negative by
    how much more of the positives beat it. For labels 0 and 1 without weights the sum of squares is DeLong's variance.

    Returns:
        NaN if there are fewer than two positives, or two negatives.
    """
    rows = check(score, label, weight)
    positive, negative = rows.masses()
    factors = small_sample_factor(positive), small_sample_factor(negative)
    if np.isnan(factors).any():
        return np.full(len(rows.score), np.nan)
    runs = sorted_runs(rows.score)
    beaten, beating = _share_below(negative, runs), 1.0 - _share_below(positive, runs)
    positive, negative = positive[runs.order] / positive.sum(), negative[runs.order] / negative.sum()
    value = np.sum(positive * beaten)
    influence = np.empty(len(runs.order))
    influence[runs.order] = positive * (beaten - value) * factors[0] + negative * (beating - value) * factors[1]
    return influence


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
    rows, groups, has_group = grouped_rows(score, label, group, weight)
    num_left = len(groups)
    if num_left == 0:
        return GroupedAuc(float("nan"), 0, 0, 0.0, len(has_group))
    found = gauc_of_ties(tie_runs(rows, group_codes(groups)))
    return found._replace(rows_without_group=len(has_group) - num_left)


def gauc_figures(
    score: npt.ArrayLike, label: npt.ArrayLike, group: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> dict[str, float]:
    """Return GAUC, and how many groups it averages and leaves out; arguments and errors are those of `gauc`.

    There is a figure of the rows without a group if there are such rows.
    """
    found = gauc(score, label, group, weight)
    rows_left_out = {"gauc_rows_without_group": float(found.rows_without_group)} if found.rows_without_group else {}
    return rows_left_out | {
        "gauc": found.value,
        "gauc_groups": float(found.groups_used),
        "gauc_skipped": float(found.groups_skipped),
    }


def gauc_influence(
    score: npt.ArrayLike,
    label: npt.ArrayLike,
    group: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
) -> Floats:
    """Return the influence values on `gauc`, (B,); arguments and errors are the same.

    Groups are what is independent, so that each has one value: it stands at the first row of the group. Rows without a
    group, and groups that are left out, have 0.

    Returns:
        NaN if fewer than two groups have both classes.
    """
    rows, groups, has_group = grouped_rows(score, label, group, weight)
    if len(groups) == 0:
        return np.full(len(has_group), np.nan)
    codes = group_codes(groups)
    aucs, impressions = _auc_of_groups(tie_runs(rows, codes))
    is_used = ~np.isnan(aucs)
    first = np.flatnonzero(has_group)[first_rows(codes)]
    return group_influence(aucs[is_used], impressions[is_used], first[is_used], len(has_group))


def group_influence(value: Floats, weight: Floats, first: npt.NDArray[np.intp], num_rows: int) -> Floats:
    """Return the influence values of the mean of a figure over groups, (B,).

    Args:
        value: (G,) figure of each group.
        weight: (G,) weight of each group.
        first: (G,) row at which the value of the group stands.
        num_rows: B.
    """
    of_groups = mean_influence(value, weight)
    influence = np.full(num_rows, np.nan if len(value) == 0 or np.isnan(of_groups[0]) else 0.0)
    influence[first] = of_groups
    return influence


def grouped_rows(
    score: npt.ArrayLike, label: npt.ArrayLike, group: npt.ArrayLike, weight: npt.ArrayLike | None
) -> tuple[Labelled, npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return the rows that have a group, their groups, and which rows these are, (B,)."""
    rows = check(score, label, weight)
    groups = np.asarray(group)
    if groups.shape != rows.score.shape:
        raise ValueError(f"group: must have shape {rows.score.shape}, as score has, got shape {groups.shape}")
    has_group = _has_group(groups)
    if has_group.all():
        return rows, groups, has_group
    return rows.take(has_group), groups[has_group], has_group


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
    aucs, impressions = _auc_of_groups(ties)
    used = ~np.isnan(aucs)
    impressions = impressions[used]
    total = float(impressions.sum())
    value = float(np.sum(impressions * aucs[used])) / total if used.any() else float("nan")
    return GroupedAuc(value, int(used.sum()), int(len(used) - used.sum()), total)


def _auc_of_groups(ties: Ties) -> tuple[Floats, Floats]:
    """Return the AUC of each group, NaN with one class, and its impressions, each (G,)."""
    positives = np.add.reduceat(ties.positive, ties.first)
    negatives = np.add.reduceat(ties.negative, ties.first)
    doubled = np.add.reduceat(ties.positive * _below_or_half(ties), ties.first)
    pairs = 2.0 * positives.astype(np.float64) * negatives
    aucs = np.full(len(pairs), np.nan)
    np.divide(doubled, pairs, out=aucs, where=pairs > 0)
    return aucs, (positives + negatives).astype(np.float64)


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


def _share_below(mass_B: Floats, runs: SortedRuns) -> Floats:
    """Return (B,) in the order of scores: the share of a mass that lies below each row, what is tied counting half."""
    of_runs = runs.sums(mass_B)
    below = np.cumsum(of_runs) - 0.5 * of_runs
    return runs.spread(below / np.sum(mass_B))
