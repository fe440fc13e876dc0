"""Figures within groups of rows, all groups at once, with the influence value of each row on the figure of its group.

They are those of `ranking.py` and `probability.py` on the rows of each group alone. What a table of slices needs
follows from them by sums within groups: variances, differences between two models, and differences to all rows.

Dimension key: B rows, G groups, R runs of rows of one group with one score.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats, Labelled

__all__ = ["GroupedFigure", "Groups", "Ranking", "grouped_auc", "grouped_mean"]

MOST_GROUPS = 2**16
"""Codes of groups are sorted as 16-bit integers, which takes a tenth of the time of a comparison sort."""


class GroupedFigure(NamedTuple):
    """One figure of each group."""

    value: Floats
    """(G,); NaN where it is not defined."""
    influence: Floats
    """(B,) influence value of each row on the figure of its group; NaN if the group is too small for an interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The group of each row."""

    code: npt.NDArray[np.uint16]
    """(B,) number of the row's group, below `size`."""
    size: int
    """Number of groups; some may have no rows."""

    @classmethod
    def of(cls, code: npt.ArrayLike, size: int) -> "Groups":
        """Return the groups of codes of any integer type.

        Raises:
            ValueError: there are more than 65,536 groups.
        """
        if size > MOST_GROUPS:
            raise ValueError(f"groups: at most {MOST_GROUPS:,} are possible, got {size:,}")
        return cls(np.asarray(code).astype(np.uint16, copy=False), size)

    @classmethod
    def single(cls, rows: int) -> "Groups":
        """Return one group of all rows."""
        return cls(np.zeros(rows, np.uint16), 1)

    def sums(self, values: Floats | None = None) -> Floats:
        """Return the sum of values of each group, (G,); the number of its rows if no values are given."""
        return np.bincount(self.code, values, self.size).astype(np.float64)

    def spread(self, of_group: Floats) -> Floats:
        """Return for each row the value of its group, (B,)."""
        found: Floats = of_group.take(self.code)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Rows by rising score, sorted once for any number of groupings."""

    order: npt.NDArray[np.intp]
    """(B,) numbers of the rows in this order, which is also that of the arrays below."""
    score: Floats
    positive: Floats
    """(B,) weight of each row times its label."""
    negative: Floats
    """(B,) weight of each row times what its label lacks of 1."""

    @classmethod
    def of(cls, rows: Labelled) -> "Ranking":
        """Sort rows by their scores."""
        order = np.argsort(rows.score)
        positive, negative = rows.masses()
        return cls(order, rows.score[order], positive[order], negative[order])


def grouped_mean(values: Floats, weight: Floats | None, groups: Groups) -> GroupedFigure:
    """Return the weighted mean of each group, as `mean_influence` has it for all rows.

    Args:
        values: (B,) what is averaged.
        weight: (B,) weight of each row; every row counts once when not given.
        groups: the group of each row.

    Example:
        >>> grouped_mean(np.array([1.0, 3.0, 5.0]), None, Groups.of([0, 0, 1], 2)).value
        array([2., 5.])
    """
    mass = np.ones(len(values)) if weight is None else weight
    total = groups.sums(mass)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = groups.sums(mass * values) / total
        factor = _small_sample_factors(mass, groups) / total
    influence = mass * (values - groups.spread(mean)) * groups.spread(factor)
    return GroupedFigure(mean, influence)


def grouped_auc(ranking: Ranking, groups: Groups) -> GroupedFigure:
    """Return the AUC among the rows of each group, as `auc` and `auc_influence` have it for all rows.

    Takes O(B), since the rows are in the order of their scores.
    """
    code = groups.code[ranking.order]
    by_group = np.argsort(code, kind="stable")
    sorted_groups = Groups(code[by_group], groups.size)
    positive, negative = ranking.positive[by_group], ranking.negative[by_group]
    runs = _Runs.of(ranking.score[by_group], sorted_groups)
    of_class = [_class_totals(mass, sorted_groups) for mass in (positive, negative)]
    with np.errstate(divide="ignore", invalid="ignore"):
        beaten_R = runs.below(negative) / of_class[1].mass[runs.group]
        beating_R = 1.0 - runs.below(positive) / of_class[0].mass[runs.group]
        value = np.bincount(runs.group, runs.sums(positive) * beaten_R, groups.size) / of_class[0].mass
    value[of_class[1].mass == 0] = np.nan
    value_R = value[runs.group]
    influence = positive * runs.spread((beaten_R - value_R) * of_class[0].factor[runs.group])
    influence += negative * runs.spread((beating_R - value_R) * of_class[1].factor[runs.group])
    in_place = np.empty(len(code))
    in_place[ranking.order[by_group]] = influence
    return GroupedFigure(value, in_place)


class _ClassTotals(NamedTuple):
    mass: Floats
    """(G,) mass of one class in each group."""
    factor: Floats
    """(G,) factor of a row's share of it, for few rows."""


def _class_totals(mass: Floats, groups: Groups) -> _ClassTotals:
    total = groups.sums(mass)
    return _ClassTotals(total, _small_sample_factors(mass, groups) / np.where(total > 0, total, np.nan))


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Rows of one group with one score, of rows that are sorted by group and score."""

    start: npt.NDArray[np.intp]
    """(R,) first row of each run."""
    size: npt.NDArray[np.intp]
    """(R,) number of its rows."""
    group: npt.NDArray[np.uint16]
    """(R,)"""

    @classmethod
    def of(cls, score: Floats, groups: Groups) -> "_Runs":
        is_new = np.ones(len(score), np.bool_)
        is_new[1:] = (score[1:] != score[:-1]) | (groups.code[1:] != groups.code[:-1])
        start = np.flatnonzero(is_new)
        return cls(start, np.diff(start, append=len(score)), groups.code[start])

    def sums(self, mass: Floats) -> Floats:
        """Return the mass of each run, (R,)."""
        found: Floats = np.add.reduceat(mass, self.start)
        return found

    def below(self, mass: Floats) -> Floats:
        """Return the mass of each run's group that has a lower score, and half of what has the same, (R,).

        Masses of groups are subtracted from one long sum, which is exact for counts and keeps ten digits for weights.
        """
        of_run = self.sums(mass)
        up_to = np.cumsum(of_run)
        is_first = np.ones(len(of_run), np.bool_)
        is_first[1:] = self.group[1:] != self.group[:-1]
        first = np.flatnonzero(is_first)
        before_group = np.repeat((up_to - of_run)[first], np.diff(first, append=len(of_run)))
        return up_to - 0.5 * of_run - before_group

    def spread(self, of_run: Floats) -> Floats:
        """Return for each row the value of its run, (B,)."""
        return np.repeat(of_run, self.size)


def _small_sample_factors(mass: Floats, groups: Groups) -> Floats:
    """Return `small_sample_factor` of each group, (G,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = groups.sums(mass) ** 2 / groups.sums(mass**2)
        return np.where(rows > 1 + 1e-9, np.sqrt(rows / (rows - 1)), np.nan)
