"""All metrics of some predictions at once."""

import numpy as np
import numpy.typing as npt

from recsys.evaluation.intervals import auc_interval
from recsys.evaluation.metrics import METRICS
from recsys.evaluation.ranking import auc, gauc

__all__ = ["auc_figures", "evaluate", "gauc_figures"]


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
        auc, logloss, ne, calibration, rows and positives; auc_low and auc_high (95 % interval) for rows without
        weights that have two of each class, labels 0 and 1; with groups also gauc, gauc_groups (groups with both
        classes), gauc_skipped (groups with one) and, if there are rows without a group, gauc_rows_without_group; and
        the metrics that were registered. A metric that the data do not define is NaN.

    Raises:
        ValueError: An argument is not as for `auc` and `logloss`.
    """
    values: dict[str, float] = {}
    details: dict[str, float] = {}
    for name, metric in METRICS.items():
        if group is None and metric.needs_group:
            continue
        figures = metric.compute(name, probability, label, weight, group)
        if metric.needs_group:
            details |= figures
        else:
            values[name] = figures.pop(name)
            details |= figures
    counts = {"rows": float(len(np.asarray(label))), "positives": float(np.sum(label, dtype=np.float64))}
    return values | counts | details


def auc_figures(score: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> dict[str, float]:
    """Return the AUC and, for rows without weights whose labels are 0 or 1, the ends of its 95 % interval.

    Arguments and errors are those of `auc`.
    """
    figures = {"auc": auc(score, label, weight)}
    labels = np.asarray(label)
    if weight is None and bool(np.isin(labels, (0, 1)).all()):
        interval = auc_interval(score, labels)
        if np.isfinite(interval.low):
            figures |= {"auc_low": interval.low, "auc_high": interval.high}
    return figures


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
