"""Figures of the rows that share something, worst first: where a model is bad, and where its probabilities are wrong.

Dimension key: B rows, G slices of one grouping, S slices in all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from recsys.evaluation.arrays import Floats, Labelled, check
from recsys.evaluation.grouped import GroupedFigure, Groups, Ranking, grouped_auc, grouped_mean
from recsys.evaluation.intervals import Z95
from recsys.evaluation.predictions import Predictions
from recsys.evaluation.probability import log_losses
from recsys.judging.groupings import Grouping, RawColumn, groupings

__all__ = ["FIGURES", "everything", "groupings_of", "simultaneous_z", "slices", "slices_of_tasks", "what_slices"]

FIGURES = (
    *("rows", "positives", "auc", "auc_low", "auc_high", "auc_difference", "auc_difference_low", "auc_difference_high"),
    *("logloss", "calibration", "calibration_low", "calibration_high", "miscalibration"),
)
"""Columns of a table of slices, after those that say which slice it is."""


def slices(predictions: Predictions, columns: Mapping[str, pl.Series | RawColumn]) -> pl.DataFrame:
    """Return the figures of all slices that some columns make, the worst first.

    Worst is what is wrong for certain. First come the slices whose calibration is off, by how much it is off at least
    (`miscalibration`); then those whose AUC is below that of all rows, by how much at least; then all others, the
    largest first. "At least" is the end of an interval that holds for all slices of the table together (Bonferroni), so
    that a slice of a few rows, or one among hundreds, is not first by chance.

    Args:
        predictions: labels and scores of the rows.
        columns: name -> values of the same rows, in the same order; they need not be features.

    Returns:
        A row for each slice: column, by (value, quantile, training frequency, length, hour, day, month, hour of the
        day), slice, and the figures with 95 % intervals: rows, positives, auc, its difference to that of all rows,
        logloss, calibration (mean prediction divided by mean label). Null where a figure is not defined.

    Raises:
        ValueError: a column has another number of rows.
    """
    return slices_of_tasks({"": predictions}, columns).drop("task")


def slices_of_tasks(
    predictions: Mapping[str, Predictions], columns: Mapping[str, pl.Series | RawColumn]
) -> pl.DataFrame:
    """Return the figures of slices by several tasks, as `slices` does by one.

    Args:
        predictions: task -> its labels and scores, of the same rows.
        columns: name -> values of these rows.

    Returns:
        The table of `slices` with a column more, the first: task.
    """
    rows = len(next(iter(predictions.values())).label)
    found = groupings_of(columns, rows)
    frames = []
    for task, of_task in predictions.items():
        scored = _Scored.of(of_task)
        frames += [_figures(scored, one).with_columns(task=pl.lit(task)) for one in found or [everything(rows)]]
    table = pl.concat(frames)
    return _worst_first(table if found else table.clear())


def groupings_of(columns: Mapping[str, pl.Series | RawColumn], rows: int) -> list[Grouping]:
    """Return the slices that some columns make, once for columns that make the same, such as aligned histories.

    Raises:
        ValueError: a column has another number of rows than `rows`.
    """
    found: list[Grouping] = []
    for name, given in columns.items():
        column = given if isinstance(given, RawColumn) else RawColumn.of(given.alias(name))
        if len(column.values) != rows:
            raise ValueError(f"column {name}: has {len(column.values):,} rows, there are {rows:,} predictions")
        for one in groupings(column):
            place = next((i for i, other in enumerate(found) if one.makes_the_same(other)), None)
            if place is None:
                found.append(one)
            else:
                found[place] = replace(found[place], column=f"{found[place].column} + {one.column}")
    return found


def simultaneous_z(number: int) -> float:
    """Return how many standard errors wide intervals must be on each side to hold, all of them together, in 95 %.

    >>> round(simultaneous_z(1), 2), round(simultaneous_z(100), 2)
    (1.96, 3.48)
    """
    return NormalDist().inv_cdf(1 - 0.025 / max(number, 1))


def everything(rows: int) -> Grouping:
    """Return a grouping of one slice, which holds all rows."""
    return Grouping("", "", Groups.single(rows), ["all rows"])


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """What all groupings need of the predictions, computed once."""

    rows: Labelled
    ranking: Ranking
    losses: Floats
    """(B,) log loss of each row."""
    auc: GroupedFigure
    """AUC of all rows."""

    @classmethod
    def of(cls, predictions: Predictions) -> "_Scored":
        rows = check(predictions.score, predictions.label, predictions.weight)
        ranking = Ranking.of(rows)
        return cls(rows, ranking, log_losses(rows), grouped_auc(ranking, Groups.single(len(rows.score))))


def _figures(scored: _Scored, grouping: Grouping) -> pl.DataFrame:
    """Return the figures of each slice of one grouping, and the standard errors that the order needs."""
    groups, rows = grouping.groups, scored.rows
    auc = grouped_auc(scored.ranking, groups)
    variance = groups.sums(auc.influence**2)
    error = np.sqrt(variance)
    # A row of the slice moves both; a row of the others moves only the AUC of all rows.
    shared = groups.sums(auc.influence * scored.auc.influence)
    error_to_all = np.sqrt(np.maximum(variance - 2 * shared + np.dot(scored.auc.influence, scored.auc.influence), 0))
    difference = auc.value - scored.auc.value
    table = {
        **what_slices(grouping, rows),
        "auc": auc.value,
        "auc_low": np.maximum(auc.value - Z95 * error, 0),
        "auc_high": np.minimum(auc.value + Z95 * error, 1),
        "auc_difference": difference,
        "auc_difference_low": difference - Z95 * error_to_all,
        "auc_difference_high": difference + Z95 * error_to_all,
        "logloss": grouped_mean(scored.losses, rows.weight, groups).value,
        **_Calibration.of(rows, groups).columns(),
        "_auc_error": error_to_all,
    }
    return pl.DataFrame(table).filter(pl.col("rows") > 0)


def what_slices(grouping: Grouping, rows: Labelled) -> dict[str, Any]:
    """Return the columns that say which slices they are, and how large."""
    groups = grouping.groups
    positives = groups.sums(rows.label.astype(np.float64))
    return {
        "column": [grouping.column] * groups.size,
        "by": [grouping.by] * groups.size,
        "slice": grouping.names,
        "rows": groups.sums().astype(np.int64),
        "positives": positives.astype(np.int64) if rows.is_hard else positives,
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Calibration:
    """Predicted and actual clicks of each slice.

    The interval has those expected numbers of clicks from which the number that was seen is not too far away. For many
    clicks it is the interval of `recsys evaluate`. With few that one, which is symmetric, is far too sure, and more so
    the wider it must be to hold for hundreds of slices. Clicks are then a count: fewer are bounded by the likelihood
    ratio of a Poisson variable, more by Wilson's interval, each of which is not too sure on its side.

    Papers: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927; Wilks, "The
    Large-Sample Distribution of the Likelihood Ratio", 1938.
    DIFF: the variance for each click is measured, so that rows may have weights and labels between 0 and 1.
    """

    predicted: Floats
    """(G,) sum of the predictions."""
    actual: Floats
    """(G,) sum of the labels."""
    variance: Floats
    """(G,) variance of `actual` given the predictions, for each click."""

    @classmethod
    def of(cls, rows: Labelled, groups: Groups) -> "_Calibration":
        weight = np.ones(len(rows.score)) if rows.weight is None else rows.weight
        predicted, actual = groups.sums(weight * rows.score), groups.sums(weight * rows.label)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_right_predictions = groups.sums(weight**2 * rows.score * (1.0 - rows.score)) / predicted
            ratio = np.where(predicted > 0, actual / predicted, 0.0)
            measured = groups.sums((weight * (rows.label - rows.score * groups.spread(ratio))) ** 2) / actual
            without_clicks = groups.sums(weight**2 * rows.score) / predicted
        if rows.is_hard:  # labels of a few rows may be alike by chance
            measured = np.fmax(measured, of_right_predictions)
        return cls(predicted, actual, np.where(actual > 0, measured, without_clicks))

    def interval(self, z: float) -> tuple[Floats, Floats]:
        """Return the ends of the intervals that are z standard errors wide on each side, (G,) each."""
        half = 0.5 * z**2 * self.variance
        with np.errstate(divide="ignore", invalid="ignore"):
            fewest = self.actual * np.exp(-_likelihood_ratio_bound(half / self.actual))
            most = self.actual + half + np.sqrt(half * (half + 2 * self.actual))
            return self.predicted / most, self.predicted / np.where(self.actual > 0, fewest, 0.0)

    def columns(self) -> dict[str, Floats]:
        """Return the columns of the table, and those of which its order is made."""
        low, high = self.interval(Z95)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.predicted / self.actual
        figures = {"calibration": value, "calibration_low": low, "calibration_high": high}
        return figures | {"_predicted": self.predicted, "_actual": self.actual, "_variance": self.variance}


def _likelihood_ratio_bound(drop: Floats) -> Floats:
    """Return t > 0 with exp(-t) - 1 + t = drop, (G,).

    Of a Poisson variable that mean is exp(-t) times its count whose log likelihood is lower by `drop` for each event.
    """
    bound = drop + np.sqrt(2 * drop)  # above the solution, from where Newton's method comes down to it
    for _ in range(30):
        bound = bound - (np.expm1(-bound) + bound - drop) / -np.expm1(-bound)
    return bound


def _worst_first(table: pl.DataFrame) -> pl.DataFrame:
    z = simultaneous_z(len(table))
    of_columns = (table[name].to_numpy() for name in ("_predicted", "_actual", "_variance"))
    low, high = _Calibration(*of_columns).interval(z)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.fmax(np.fmax(low, 1 / high), 1) - 1
    shortfall = np.fmax(-(table["auc_difference"].to_numpy() + z * table["_auc_error"].to_numpy()), 0)
    ordered = table.with_columns(miscalibration=pl.Series(off), _shortfall=pl.Series(shortfall)).sort(
        "miscalibration", "_shortfall", "rows", descending=True, nulls_last=True, maintain_order=True
    )
    shown = ordered.select("task", "column", "by", "slice", *FIGURES)
    is_float = pl.col(name for name, dtype in shown.schema.items() if dtype.is_float())
    return shown.with_columns(pl.when(is_float.abs() < inf).then(is_float))
