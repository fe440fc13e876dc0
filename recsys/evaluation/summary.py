"""All metrics of some predictions at once."""

import numpy as np
import numpy.typing as npt

from recsys.evaluation.intervals import interval
from recsys.evaluation.metrics import METRICS, Metric
from recsys.evaluation.ranking import gauc

__all__ = ["evaluate", "gauc_figures"]


def evaluate(
    probability: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    group: npt.ArrayLike | None = None,
) -> dict[str, float]:
    """Return all registered metrics.

    Args:
        probability: (B,) predictions between 0 and 1.
        label: (B,) between 0 and 1, usually 0 or 1.
        weight: (B,) row weights, used by every metric; `rows` and `positives` are counts all the same.
        group: (B,) groups, such as users, for the metrics that need them.

    Returns:
        auc, logloss, ne, calibration, rows and positives; with groups also gauc, gauc_groups (groups with both
        classes), gauc_skipped (groups with one) and, if there are rows without a group, gauc_rows_without_group; and
        the metrics that were registered. NAME_low and NAME_high are the ends of the 95 % interval of a metric, where
        the rows are enough for one. A metric that the data do not define is NaN.

    Raises:
        ValueError: An argument is not as for `auc` and `logloss`.
    """
    values: dict[str, float] = {}
    details: dict[str, float] = {}
    for name, metric in METRICS.items():
        if group is None and metric.needs_group:
            continue
        figures = _with_interval(name, metric, probability, label, weight, group)
        if metric.needs_group:
            details |= figures
        else:
            values[name] = figures.pop(name)
            details |= figures
    counts = {"rows": float(len(np.asarray(label))), "positives": float(np.sum(label, dtype=np.float64))}
    return values | counts | details


def _with_interval(name: str, metric: Metric, *rows: npt.ArrayLike | None) -> dict[str, float]:
    """Return the figures of a metric, and the ends of its interval where it has one."""
    figures = metric.compute(name, *rows)
    influence = metric.compute_influence(name, *rows)
    if influence is None:
        return figures
    found = interval(figures[name], influence, scale=metric.scale)
    return figures | ({f"{name}_low": found.low, f"{name}_high": found.high} if np.isfinite(found.low) else {})


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
