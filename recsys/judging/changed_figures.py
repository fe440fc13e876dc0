r"""Compare scores of changed rows with those of the rows as they are: how much worse AUC and logloss are, how surely.

A row counts twice in a figure of permuted scores: as the row that is scored, and as the row that another one has its
value from. With d_r(i) the influence of row i on the loss of a figure in repeat r, and r(i) the row that has its value
from row i, the variance is

    sum_i (mean_r d_r(i) + d_r(r(i)))^2  -  mean_r sum_i d_r(i)^2 / R

where the second term takes out what the first counts twice of the noise of R permutations. It covers the loss that an
endless number of rows would show. For R = 1 and a feature that tells nothing, it is the usual sum of squares.

Dimension key: N rows, T tasks, R repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.errors import DataError
from recsys.evaluation.arrays import Floats
from recsys.evaluation.metrics import METRICS
from recsys.evaluation.seeds import Estimate
from recsys.evaluation.ties import shared_orders
from recsys.judging.changed_scores import ChangedScores, Scores

__all__ = ["LOOKED_AT", "Baseline", "ChangedFigures", "variance_of_loss"]


LOOKED_AT = ("auc", "logloss")
"""Metrics of which it is said how much worse they are."""


@dataclass(frozen=True, slots=True)
class ChangedFigures:
    """Figures of changed rows, by the name of the metric; means over tasks and repeats."""

    changed: dict[str, float]
    """The figures."""
    worse: dict[str, Estimate]
    """The loss against the figures of the rows as they are; positive where the changed ones are worse."""
    of_tasks: dict[str, list[float]]
    """The same for each task."""

    @property
    def most(self) -> float:
        """The upper end of the loss, of AUC or logloss."""
        return max(found.high for found in self.worse.values())


class Baseline:
    """Figures of the rows as they are, with which those of changed rows are compared.

    Args:
        scores: the rows.
        tasks: names of the tasks.

    Raises:
        DataError: the rows are all of one class.
    """

    def __init__(self, scores: ChangedScores, tasks: Sequence[str]) -> None:
        self.scores = scores
        self.whole = {name: self._figure(name, scores.whole) for name in LOOKED_AT}
        for task, value in zip(tasks, self.whole["auc"].values, strict=True):
            if isnan(value):
                rows = f"the {scores.split.num_rows:,} rows that are looked at are all of one"
                raise DataError(f"label of task {task!r}: AUC needs rows of both classes, but {rows}")

    def compare(self, changed: Sequence[Scores]) -> ChangedFigures:
        """Compare the scores of each repeat."""
        now, worse, of_tasks = {}, {}, {}
        sources = [self.scores.sources(repeat) for repeat in range(len(changed))]
        for name in LOOKED_AT:
            repeats = [self._figure(name, scores) for scores in changed]
            values_T = np.mean([one.values for one in repeats], axis=0)
            loss_T = (self.whole[name].values - values_T) * (1 if METRICS[name].higher_is_better else -1)
            losses = [self.whole[name].influence - one.influence for one in repeats]
            now[name] = float(values_T.mean())
            worse[name] = Estimate(float(loss_T.mean()), variance_of_loss(losses, sources))
            of_tasks[name] = loss_T.tolist()
        return ChangedFigures(now, worse, of_tasks)

    def _figure(self, name: str, scores: Scores) -> "_Figure":
        metric = METRICS[name]
        rows = [
            (score, label, self.scores.weights, None)
            for score, label in zip(scores.T, self.scores.labels.T, strict=True)
        ]
        with shared_orders([score for score, *_ in rows]):
            values = np.array([metric.compute(name, *of_task)[name] for of_task in rows])
            influence = np.mean([metric.compute_influence(name, *of_task) for of_task in rows], axis=0)
        return _Figure(values, influence)


class _Figure(NamedTuple):
    values: Floats
    """Values of the tasks, (T,)."""
    influence: Floats
    """Influence values of the mean over tasks, (N,)."""


def variance_of_loss(losses: Sequence[Floats], sources: Sequence[npt.NDArray[np.int64] | None]) -> float:
    """Return the variance of the mean of a figure's loss over repeats.

    Args:
        losses: influence values of the loss in each repeat, (N,).
        sources: the row that each row has its value from in each repeat, (N,); None if from none in particular.
    """
    total_N = np.zeros_like(losses[0])
    of_permutations = 0.0
    for loss_N, source_N in zip(losses, sources, strict=True):
        total_N += loss_N
        if source_N is not None:
            total_N[source_N] += loss_N
            of_permutations += float(loss_N @ loss_N)
    of_rows = float(total_N @ total_N)
    # the difference is itself uncertain where rows are few
    return max(of_rows - of_permutations, of_permutations) / len(losses) ** 2
