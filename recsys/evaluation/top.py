"""Figures of the top of each group's list: NDCG@k and recall@k.

Ties are exact: rows with equal scores stand in every order equally often, and the figure is the mean over the orders
(McSherry and Najork, "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores",
2008). A model that gives all rows one score is thus as good as chance, whatever the order of rows.

Groups weigh alike, or with weights of rows by the mean weight of their rows. Rows of weight 0 are not in the list.
Groups without a positive are left out and counted: nothing in their lists is right.

Dimension key: B rows, R runs of rows with one group and score, G groups.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats, Labelled
from recsys.evaluation.ranking import group_influence, grouped_rows
from recsys.evaluation.ties import Ties, first_rows, group_codes, tie_runs

__all__ = [
    "TOP",
    "TopFigure",
    "ndcg",
    "ndcg_figures",
    "ndcg_influence",
    "recall",
    "recall_figures",
    "recall_influence",
]

TOP = 10
"""Rows at the top of a list that count, when nothing else is said."""


class TopFigure(NamedTuple):
    """A figure of the tops of lists, averaged over groups."""

    value: float
    """NaN when no group has a positive."""
    groups_used: int
    groups_skipped: int
    """Groups without a positive."""


class _Lists(NamedTuple):
    """The list of each group: its rows by falling score."""

    ties: Ties
    """Runs of rows, by group and rising score."""
    size: npt.NDArray[np.int64]
    """(R,) rows of each run."""
    above: npt.NDArray[np.int64]
    """(R,) rows of the group with a higher score."""

    def sums(self, values_R: Floats) -> Floats:
        """Add up what belongs to each group, (G,)."""
        found: Floats = np.add.reduceat(values_R, self.ties.first)
        return found


def ndcg(
    score: npt.ArrayLike,
    label: npt.ArrayLike,
    group: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    k: int = TOP,
) -> TopFigure:
    """Return the mean over groups of NDCG@k: the gain of the first k rows, divided by that of the best order.

    The gain of a row is its label, divided by log2(1 + its place).

    Paper: Jaervelin and Kekaelaeinen, "Cumulated Gain-based Evaluation of IR Techniques", 2002.

    Args:
        score: (B,) as for `auc`.
        label: (B,) as for `auc`.
        group: (B,) as for `gauc`: the list that a row stands in, usually that of a user.
        weight: (B,) weight of each row. A group weighs the mean weight of its rows.
        k: how many rows at the top count.

    Raises:
        ValueError: as for `gauc`, or k is less than 1.

    Example:
        >>> ndcg([0.9, 0.8, 0.1, 0.7, 0.6], [0, 1, 0, 1, 0], [1, 1, 1, 2, 2]).value.__round__(4)
        0.8155
    """
    return _measure(_ndcg_of_groups, score, label, group, weight, k).figure()


def ndcg_influence(
    score: npt.ArrayLike,
    label: npt.ArrayLike,
    group: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    k: int = TOP,
) -> Floats:
    """Return the influence values on `ndcg`, (B,), as `gauc_influence` has them; arguments and errors are the same."""
    return _measure(_ndcg_of_groups, score, label, group, weight, k).influence()


def recall(
    score: npt.ArrayLike,
    label: npt.ArrayLike,
    group: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    k: int = TOP,
) -> TopFigure:
    """Return the mean over groups of recall@k: the share of a group's positives that its first k rows hold.

    Arguments and errors are those of `ndcg`. A group of k rows or fewer has a recall of 1.

    Example:
        >>> recall([0.9, 0.8, 0.1, 0.7], [1, 0, 1, 1], [1, 1, 1, 2], k=2)
        TopFigure(value=0.75, groups_used=2, groups_skipped=0)
    """
    return _measure(_recall_of_groups, score, label, group, weight, k).figure()


def recall_influence(
    score: npt.ArrayLike,
    label: npt.ArrayLike,
    group: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    k: int = TOP,
) -> Floats:
    """Return the influence values on `recall`, (B,), as `ndcg_influence` does for `ndcg`."""
    return _measure(_recall_of_groups, score, label, group, weight, k).influence()


def ndcg_figures(
    score: npt.ArrayLike, label: npt.ArrayLike, group: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> dict[str, float]:
    """Return NDCG@10 under the names that evaluations give it; arguments and errors are those of `ndcg`."""
    return _named("ndcg_10", ndcg(score, label, group, weight))


def recall_figures(
    score: npt.ArrayLike, label: npt.ArrayLike, group: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> dict[str, float]:
    """Return recall@10 under the names that evaluations give it; arguments and errors are those of `recall`."""
    return _named("recall_10", recall(score, label, group, weight))


def _named(name: str, found: TopFigure) -> dict[str, float]:
    skipped, used = float(found.groups_skipped), float(found.groups_used)
    return {name: found.value, f"{name}_groups": used, f"{name}_skipped": skipped}


_OfGroups = Callable[[Labelled, npt.NDArray[np.int64], int], Floats]
"""(rows without weights, group codes, k) -> the figure of each group, (G,); NaN where it is left out."""


class _Measured(NamedTuple):
    """A figure of each group."""

    value: Floats
    """(G,)"""
    weight: Floats
    """(G,)"""
    first: npt.NDArray[np.intp]
    """(G,) place of the first row of each group."""
    num_rows: int
    """B, with the rows that are in no list."""

    @property
    def is_used(self) -> npt.NDArray[np.bool_]:
        """(G,) whether a group has a figure."""
        return ~np.isnan(self.value)

    def figure(self) -> TopFigure:
        """Return the mean over groups."""
        used = self.is_used
        value = float(np.average(self.value[used], weights=self.weight[used])) if used.any() else float("nan")
        return TopFigure(value, int(used.sum()), int(len(used) - used.sum()))

    def influence(self) -> Floats:
        """Return the influence values on the mean, (B,)."""
        used = self.is_used
        return group_influence(self.value[used], self.weight[used], self.first[used], self.num_rows)


def _measure(
    of_groups: _OfGroups,
    score: npt.ArrayLike,
    label: npt.ArrayLike,
    group: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    k: int,
) -> _Measured:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    rows, groups, is_listed = grouped_rows(score, label, group, weight)
    place = np.flatnonzero(is_listed)
    if rows.weight is not None and not rows.weight.all():
        has_weight = rows.weight > 0
        rows, groups, place = rows.take(has_weight), groups[has_weight], place[has_weight]
    if len(place) == 0:
        return _Measured(np.empty(0), np.empty(0), place, len(is_listed))
    codes = group_codes(groups)
    value = of_groups(Labelled(rows.score, rows.label, None), codes, k)
    first = first_rows(codes)
    if rows.weight is None:
        return _Measured(value, np.ones(len(value)), place[first], len(is_listed))
    is_dense = int(codes.max()) + 1 == len(first)  # as codes of text and of 64-bit keys are
    dense = codes if is_dense else np.unique(codes, return_inverse=True)[1]
    return _Measured(value, np.bincount(dense, rows.weight) / np.bincount(dense), place[first], len(is_listed))


def _ndcg_of_groups(rows: Labelled, codes: npt.NDArray[np.int64], k: int) -> Floats:
    lists = _lists(rows, codes)
    gain = _gain_of_groups(lists, k)
    if rows.is_hard:
        positives = np.rint(lists.sums(lists.ties.positive)).astype(np.int64)
        return _ratio(gain, _discounts(k, len(rows.score))[np.minimum(positives, k)])
    best = Labelled(rows.label, rows.label, None)
    return _ratio(gain, _gain_of_groups(_lists(best, codes), k))


def _gain_of_groups(lists: _Lists, k: int) -> Floats:
    """Return the discounted gain of the first k rows of each group, (G,)."""
    up_to = _discounts(k, int(lists.size.sum()))
    last = len(up_to) - 1
    discount = up_to[np.minimum(lists.above + lists.size, last)] - up_to[np.minimum(lists.above, last)]
    return lists.sums(lists.ties.positive / lists.size * discount)


def _discounts(k: int, num_rows: int) -> Floats:
    """Return the sum of the discounts of the first 0, 1, ..., k rows; no list is longer than all rows."""
    return np.append(0.0, np.cumsum(1 / np.log2(np.arange(2, min(k, num_rows) + 2))))


def _recall_of_groups(rows: Labelled, codes: npt.NDArray[np.int64], k: int) -> Floats:
    lists = _lists(rows, codes)
    on_top = np.clip(k - lists.above, 0, lists.size) / lists.size
    return _ratio(lists.sums(lists.ties.positive * on_top), lists.sums(lists.ties.positive))


def _lists(rows: Labelled, codes: npt.NDArray[np.int64]) -> _Lists:
    ties = tie_runs(rows, codes)
    size = np.rint(ties.positive + ties.negative).astype(np.int64)
    up_to = np.cumsum(size)
    runs_of_group = np.diff(ties.first, append=len(size))
    end_of_group = np.repeat(up_to[ties.first + runs_of_group - 1], runs_of_group)
    return _Lists(ties, size, end_of_group - up_to)


def _ratio(part_G: Floats, whole_G: Floats) -> Floats:
    found = np.full(len(part_G), np.nan)
    np.divide(part_G, whole_G, out=found, where=whole_G > 0)
    return found
