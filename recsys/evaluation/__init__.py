"""Exact metrics on (probability, label, weight, group): numpy only, functions first.

The names below are imported when they are first used: the registry of metrics is asked by configurations, which are
checked without numpy.
"""

from typing import TYPE_CHECKING

from recsys.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from recsys.evaluation.arrays import mean_influence
    from recsys.evaluation.intervals import Difference, Interval, auc_difference, auc_interval, difference, interval
    from recsys.evaluation.metrics import METRICS, Metric, register_metric
    from recsys.evaluation.predictions import Predictions, read_predictions
    from recsys.evaluation.probability import (
        CalibrationCurve,
        calibration,
        calibration_curve,
        logloss,
        normalised_entropy,
    )
    from recsys.evaluation.ranking import GroupedAuc, auc, gauc, rela_impr
    from recsys.evaluation.summary import evaluate

__all__ = [
    "METRICS",
    "CalibrationCurve",
    "Difference",
    "GroupedAuc",
    "Interval",
    "Metric",
    "Predictions",
    "auc",
    "auc_difference",
    "auc_interval",
    "calibration",
    "calibration_curve",
    "difference",
    "evaluate",
    "gauc",
    "interval",
    "logloss",
    "mean_influence",
    "normalised_entropy",
    "read_predictions",
    "register_metric",
    "rela_impr",
]

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "recsys.evaluation.arrays": "mean_influence",
        "recsys.evaluation.intervals": "Difference Interval auc_difference auc_interval difference interval",
        "recsys.evaluation.metrics": "METRICS Metric register_metric",
        "recsys.evaluation.predictions": "Predictions read_predictions",
        "recsys.evaluation.probability": "CalibrationCurve calibration calibration_curve logloss normalised_entropy",
        "recsys.evaluation.ranking": "GroupedAuc auc gauc rela_impr",
        "recsys.evaluation.summary": "evaluate",
    },
)
