"""All metrics of a run at once."""

import numpy as np
import numpy.typing as npt

from recsys.evaluation.intervals import auc_interval
from recsys.evaluation.probability import calibration, logloss, normalised_entropy
from recsys.evaluation.ranking import auc, gauc

__all__ = ["evaluate"]


def evaluate(
    probability: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    group: npt.ArrayLike | None = None,
) -> dict[str, float]:
    """Return the metrics that a run reports.

    Args:
        probability: (B,) predictions between 0 and 1.
        label: (B,) between 0 and 1, usually 0 or 1.
        weight: (B,) row weights, used by every metric; `rows` and `positives` are counts all the same.
        group: (B,) for GAUC.

    Returns:
        auc, logloss, ne, calibration, rows and positives; auc_low and auc_high (95 % interval) for rows without
        weights that have two of each class, labels 0 and 1; with groups also gauc, gauc_groups (groups with both
        classes) and gauc_skipped (groups with one). A metric that the data do not define is NaN.

    Raises:
        ValueError: as for `auc` and `logloss`.
    """
    metrics = {
        "auc": auc(probability, label, weight),
        "logloss": logloss(probability, label, weight),
        "ne": normalised_entropy(probability, label, weight),
        "calibration": calibration(probability, label, weight),
        "rows": float(len(np.asarray(label))),
        "positives": float(np.sum(label, dtype=np.float64)),
    }
    labels = np.asarray(label)
    if weight is None and bool(np.isin(labels, (0, 1)).all()):
        interval = auc_interval(probability, labels)
        if np.isfinite(interval.low):
            metrics |= {"auc_low": interval.low, "auc_high": interval.high}
    if group is not None:
        grouped = gauc(probability, label, group, weight)
        metrics["gauc"] = grouped.value
        metrics["gauc_groups"] = float(grouped.groups_used)
        metrics["gauc_skipped"] = float(grouped.groups_skipped)
    return metrics
