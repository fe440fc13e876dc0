"""The difference between two models on the rows of each slice, corrected for how many slices are looked at.

Dimension key: B rows, G slices of one grouping.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.evaluation.arrays import Floats, Labelled, check
from recsys.evaluation.grouped import GroupedFigure, Groups, Ranking, grouped_auc, grouped_mean
from recsys.evaluation.metrics import METRICS
from recsys.evaluation.predictions import Predictions
from recsys.evaluation.probability import log_losses
from recsys.evaluation.seeds import ALPHA, Estimate, estimate_difference
from recsys.evaluation.verdict import holm
from recsys.judging.groupings import Grouping
from recsys.judging.slices import everything, what_slices

__all__ = ["PAIRED_METRICS", "paired_slices"]

PAIRED_METRICS = ("auc", "logloss")
"""Metrics by which models are compared on slices."""


FEW = 30
"""Rows (for the AUC of one class) from which on the normal distribution is as good as Student's, to 4 %."""


def paired_slices(
    first: Sequence[Predictions], second: Sequence[Predictions], groupings: Sequence[Grouping]
) -> pl.DataFrame:
    """Return how much better or worse one model is than another on slices.

    Args:
        first: predictions of one model, one for each seed.
        second: those of the other, for the same rows in the same order.
        groupings: slices of these rows.

    Returns:
        A row for each slice: column, by, slice, rows, positives; and for each metric of `PAIRED_METRICS` METRIC (first
        minus second), METRIC_low, METRIC_high, METRIC_p_value, corrected by Holm's method for all slices of the table,
        and METRIC_verdict ("better", "worse", "undecided": the first model). In order of the least p value; null where
        a figure is not defined.
    """
    models = [[_Scored.of(one) for one in seeds] for seeds in (first, second)]
    rows = models[0][0].rows
    frames = [_differences(models, grouping, rows) for grouping in groupings]
    table = pl.concat(frames or [_differences(models, everything(len(rows.label)), rows).clear()])
    for metric in PAIRED_METRICS:
        table = _judged(table, metric)
    least = pl.min_horizontal(f"{metric}_p_value" for metric in PAIRED_METRICS)
    return table.sort(least, -pl.col("rows"), nulls_last=True, maintain_order=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """What all groupings need of some predictions, computed once."""

    rows: Labelled
    ranking: Ranking
    losses: Floats

    @classmethod
    def of(cls, predictions: Predictions) -> "_Scored":
        rows = check(predictions.score, predictions.label, predictions.weight)
        return cls(rows, Ranking.of(rows), log_losses(rows))

    def figure(self, metric: str, groups: Groups) -> GroupedFigure:
        if metric == "auc":
            return grouped_auc(self.ranking, groups)
        return grouped_mean(self.losses, self.rows.weight, groups)


def _differences(models: Sequence[Sequence[_Scored]], grouping: Grouping, rows: Labelled) -> pl.DataFrame:
    """Return the differences on each slice of one grouping."""
    table = what_slices(grouping, rows)
    for metric in PAIRED_METRICS:
        found = _estimates(models, metric, grouping.groups)
        table[metric] = [one.value for one in found]
        table[f"{metric}_low"] = [one.low for one in found]
        table[f"{metric}_high"] = [one.high for one in found]
        table[f"{metric}_p_value"] = [one.p_value for one in found]
    return pl.DataFrame(table).filter(pl.col("rows") > 0).with_columns(pl.col(pl.Float64).fill_nan(None))


def _estimates(models: Sequence[Sequence[_Scored]], metric: str, groups: Groups) -> list[Estimate]:
    """Return the difference on each slice: its rows are the same for both models, seeds are not."""
    values, influence = [], []
    for seeds in models:
        figures = [one.figure(metric, groups) for one in seeds]
        values.append([figure.value for figure in figures])
        influence.append(np.mean([figure.influence for figure in figures], axis=0))
    variance = groups.sums((influence[0] - influence[1]) ** 2)
    freedom = _freedom(models[0][0].rows, metric, groups)
    return [
        estimate_difference(
            *([float(value[group]) for value in of] for of in values), rows=float(variance[group])
        ).with_at_most(float(freedom[group]))
        for group in range(groups.size)
    ]


def _freedom(rows: Labelled, metric: str, groups: Groups) -> Floats:
    """Return the degrees of freedom that the rows of each slice leave where they are few: two rows settle nothing."""
    count = groups.sums()
    if metric == "auc":
        positives = groups.sums(rows.label.astype(np.float64))
        count = np.minimum(positives, count - positives)
    return np.where(count < FEW, count - 1.0, np.inf)


def _judged(table: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Correct the p values of a metric, and say on which slices the first model is better or worse."""
    name = f"{metric}_p_value"
    corrected = pl.Series(name, holm(table[name].fill_null(np.nan).to_list())).fill_nan(None)
    sign = 1 if METRICS[metric].higher_is_better else -1
    word = pl.when(pl.col(metric) * sign > 0).then(pl.lit("better")).otherwise(pl.lit("worse"))
    told = pl.when(pl.col(name) < ALPHA).then(word).otherwise(pl.lit("undecided"))
    return table.with_columns(corrected).with_columns(told.alias(f"{metric}_verdict"))
