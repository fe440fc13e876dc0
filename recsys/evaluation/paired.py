"""Two models on the same rows: how much a figure of theirs differs, rows paired, with one seed of each or several.

A model is given by its predictions for each seed, and those by their task ("" where there is one). With several tasks,
figures are means over tasks.

Dimension key: B rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import DataError
from recsys.evaluation.arrays import Floats
from recsys.evaluation.metrics import METRICS
from recsys.evaluation.predictions import Predictions, read_predictions
from recsys.evaluation.ranking import NO_GROUP
from recsys.evaluation.seeds import Estimate, estimate, estimate_difference
from recsys.evaluation.verdict import Verdict, verdict

__all__ = [
    "Figure",
    "SeedPredictions",
    "check_same_rows",
    "comparable_metrics",
    "difference_of",
    "figure_of",
    "verdict_on_files",
]

SeedPredictions = Mapping[str, Predictions]
"""The predictions of one seed, by task."""


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A metric of one model over its seeds, and how much each row moves it."""

    values: tuple[float, ...]
    """One for each seed."""
    influence: Floats
    """(B,) influence values of the mean over seeds."""
    together: float
    """The part of the variance of the mean that rows and seeds make together: the seeds differ by it too."""

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return fmean(self.values)

    def estimate(self) -> Estimate:
        """Return the mean with its variance."""
        rows = float(np.dot(self.influence, self.influence))
        return estimate(self.values, rows=rows, shared=max(rows - self.together, 0.0))


def figure_of(seeds: Sequence[SeedPredictions], metric: str) -> Figure:
    """Return a metric of a model.

    Args:
        seeds: its predictions for each seed, at least one, for the same rows.
        metric: name of a metric that has influence values.
    """
    values = []
    mean_B: Any = 0.0
    squares_B: Any = 0.0
    for number, tasks in enumerate(seeds, 1):
        found = [_value_and_influence(one, metric) for one in tasks.values()]
        values.append(fmean(value for value, _ in found))
        influence_B = sum(influence_B for _, influence_B in found) / len(found)
        change_B = influence_B - mean_B  # Welford: no more than three arrays, however many seeds
        mean_B = mean_B + change_B / number
        squares_B = squares_B + change_B * (influence_B - mean_B)
    number = len(seeds)
    together = float(np.sum(squares_B)) / (number - 1) / number if number > 1 else 0.0
    return Figure(tuple(values), mean_B, together)


def _value_and_influence(rows: Predictions, metric: str) -> tuple[float, Floats]:
    known = METRICS[metric]
    arrays = rows.score, rows.label, rows.weight, rows.group
    influence_B = known.compute_influence(metric, *arrays)
    assert influence_B is not None, f"{metric} has no influence values"
    return known.compute(metric, *arrays)[metric], influence_B


def difference_of(first: Figure, second: Figure) -> Estimate:
    """Return the figure of one model minus that of another for the same rows.

    The seeds of the one have nothing to do with those of the other, so that their numbers may differ.
    """
    change_B = first.influence - second.influence
    rows = float(np.dot(change_B, change_B))
    shared = max(rows - first.together - second.together, 0.0)
    return estimate_difference(first.values, second.values, rows=rows, shared=shared)


def comparable_metrics(seeds: Iterable[SeedPredictions]) -> list[str]:
    """Return the metrics by which models can be compared: those with a direction and an interval, for these rows."""
    has_groups = all(one.group is not None for tasks in seeds for one in tasks.values())
    return [
        name
        for name, metric in METRICS.items()
        if metric.influence is not None
        and metric.higher_is_better is not None
        and (has_groups or not metric.needs_group)
    ]


def check_same_rows(predictions: Sequence[Predictions]) -> None:
    """Refuse predictions that are not for the same rows in the same order, since rows could not be paired.

    Groups need not be there on all sides, and may have other names, as long as the same rows belong together.

    Raises:
        DataError: labels, weights, groups or numbers of rows differ; the message names the first row that does.
    """
    first, *others = predictions
    for other in others:
        if len(first) != len(other):
            _refuse(first, other, f"it has {len(other):,} rows, the other {len(first):,}")
        _check_equal("labels", first, other, first.label, other.label)
        if (first.weight is None) != (other.weight is None):
            _refuse(first, other, "only one of them has weights")
        if first.weight is not None and other.weight is not None:
            _check_equal("weights", first, other, first.weight, other.weight)
        if first.group is not None and other.group is not None and not np.array_equal(first.group, other.group):
            _check_equal("groups", first, other, _first_rows(first.group), _first_rows(other.group))


def _check_equal(
    what: str, first: Predictions, other: Predictions, values_B: npt.NDArray[Any], others_B: npt.NDArray[Any]
) -> None:
    differs_B = ~np.isclose(values_B.astype(np.float64), others_B.astype(np.float64), rtol=1e-6, atol=0)
    count = int(np.count_nonzero(differs_B))
    if count:
        row = int(np.argmax(differs_B))
        values = "" if what == "groups" else f": {others_B[row]:g} here, {values_B[row]:g} there"
        number = f"{count:,} of {len(differs_B):,} rows differ"
        _refuse(first, other, f"the {what} differ, first in row {row + 1}{values}; {number}")


def _first_rows(group_B: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return (B,) the first row of each row's group, which does not depend on the names of groups; -1 without one."""
    _, first, inverse_B = np.unique(group_B, return_index=True, return_inverse=True)
    rows_B: npt.NDArray[np.int64] = np.where(group_B == NO_GROUP, -1, first[inverse_B])
    return rows_B


def _refuse(first: Predictions, other: Predictions, reason: str) -> None:
    raise DataError(
        f"{other.source}: cannot be compared with {first.source}: {reason}; models are compared on the same rows, in "
        "the same order"
    )


def verdict_on_files(first: Path, second: Path, metric: str = "auc") -> Verdict:
    """Return the verdict on two models from their files of predictions, as training writes them.

    Raises:
        DataError: a file cannot be read, or they are not for the same rows.
    """
    both = [read_predictions(path) for path in (first, second)]
    for task in both[0]:
        check_same_rows([seed[task] for seed in both])
    difference = difference_of(*(figure_of([seed], metric) for seed in both))
    return verdict(metric, difference, rows=len(next(iter(both[0].values()))))
