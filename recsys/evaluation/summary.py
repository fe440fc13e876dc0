"""All metrics of some predictions at once.

Dimension key: B rows.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats
from recsys.evaluation.intervals import interval
from recsys.evaluation.metrics import METRICS, Metric, is_interval_end
from recsys.evaluation.predictions import Predictions
from recsys.evaluation.ties import shared_orders

__all__ = ["evaluate", "evaluate_tasks"]


class _Rows(NamedTuple):
    """What metrics are called with, in the order of `Metric.compute`."""

    probability: npt.ArrayLike
    label: npt.ArrayLike
    weight: npt.ArrayLike | None
    group: npt.ArrayLike | None


def evaluate(
    probability: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    group: npt.ArrayLike | None = None,
    *,
    names: Collection[str] | None = None,
) -> dict[str, float]:
    """Return all registered metrics.

    Args:
        probability: (B,) predictions between 0 and 1.
        label: (B,) between 0 and 1, usually 0 or 1.
        weight: (B,) row weights, used by every metric; `rows` and `positives` are counts all the same.
        group: (B,) groups, such as users, for the metrics that need them.
        names: the metrics to compute. Default: all.

    Returns:
        The metrics by name, rows and positives; NAME_low and NAME_high, the ends of the 95 % interval of a metric,
        where the rows are enough for one; and the figures that belong to a metric, such as gauc_groups (groups with
        both classes), gauc_skipped (groups with one) and brier_score_reliability. A metric that the data do not define
        is NaN.

    Raises:
        ValueError: An argument is not as for `auc` and `logloss`.
    """
    found, _ = _evaluate([_Rows(np.asarray(probability), np.asarray(label), weight, group)], names)
    return found[0]


def evaluate_tasks(predictions: Mapping[str, Predictions], *, names: Collection[str] | None = None) -> dict[str, float]:
    """Return the metrics of each task as TASK.NAME, and their means over tasks as NAME; of one task just NAME.

    A mean is that of what all tasks have. Its interval comes from the mean over tasks of each row's influence values,
    so that it knows what the tasks of a row have in common.

    Args:
        predictions: those of each task for the same rows.
        names: as for `evaluate`.

    Raises:
        ValueError: as for `evaluate`.
    """
    rows = [_Rows(one.score, one.label, one.weight, one.group) for one in predictions.values()]
    found, ends = _evaluate(rows, names)
    if len(found) == 1:
        return found[0]
    shared = [name for name in found[0] if all(name in figures for figures in found)]
    means = {name: _mean([figures[name] for figures in found]) for name in shared if not is_interval_end(name)}
    by_task = zip(predictions, found, strict=True)
    return means | ends | {f"{task}.{name}": value for task, figures in by_task for name, value in figures.items()}


def _evaluate(tasks: Sequence[_Rows], names: Collection[str] | None) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Return the figures of each task, and the ends of the intervals of their means."""
    found: list[dict[str, float]] = [{} for _ in tasks]
    ends: dict[str, float] = {}
    with shared_orders([array for rows in tasks for array in (rows.probability, rows.group)]):
        for name, metric in _asked(names, has_groups=tasks[0].group is not None):
            influences = []
            for rows, figures in zip(tasks, found, strict=True):
                influence = metric.compute_influence(name, *rows)
                figures |= metric.compute(name, *rows)
                figures |= _ends(name, metric, figures[name], influence)
                influences.append(influence)
            if len(tasks) > 1 and metric.influence is not None:
                mean = _mean([figures[name] for figures in found])
                ends |= _ends(name, metric, mean, np.mean(influences, axis=0))
    return [_ordered(rows, figures) for rows, figures in zip(tasks, found, strict=True)], ends


def _asked(names: Collection[str] | None, *, has_groups: bool) -> Iterator[tuple[str, Metric]]:
    for name, metric in METRICS.items():
        if (names is None or name in names) and (has_groups or not metric.needs_group):
            yield name, metric


def _ends(name: str, metric: Metric, value: float, influence: Floats | None) -> dict[str, float]:
    """Return the ends of the interval of a metric; nothing where it has none."""
    if influence is None:
        return {}
    found = interval(value, influence, scale=metric.scale)
    return {f"{name}_low": found.low, f"{name}_high": found.high} if np.isfinite(found.low) else {}


def _ordered(rows: _Rows, figures: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics, then the counts of rows, then what belongs to metrics and the metrics of groups."""
    metrics = {name: value for name, value in figures.items() if name in METRICS and not METRICS[name].needs_group}
    counts = {"rows": float(len(np.asarray(rows.label))), "positives": float(np.sum(rows.label, dtype=np.float64))}
    return metrics | counts | {name: value for name, value in figures.items() if name not in metrics}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
