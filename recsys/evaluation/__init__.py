"""Exact metrics on (probability, label, weight, group): numpy only, functions first.

The names below are imported when they are first used: the registry of metrics is asked by configurations, which are
checked without numpy.
"""

from typing import TYPE_CHECKING

from recsys.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from recsys.evaluation.intervals import AucDifference, AucInterval, auc_difference, auc_interval
    from recsys.evaluation.metrics import METRICS, Metric, register_metric
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
    "AucDifference",
    "AucInterval",
    "CalibrationCurve",
    "GroupedAuc",
    "Metric",
    "auc",
    "auc_difference",
    "auc_interval",
    "calibration",
    "calibration_curve",
    "evaluate",
    "gauc",
    "logloss",
    "normalised_entropy",
    "register_metric",
    "rela_impr",
]

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "recsys.evaluation.intervals": "AucDifference AucInterval auc_difference auc_interval",
        "recsys.evaluation.metrics": "METRICS Metric register_metric",
        "recsys.evaluation.probability": "CalibrationCurve calibration calibration_curve logloss normalised_entropy",
        "recsys.evaluation.ranking": "GroupedAuc auc gauc rela_impr",
        "recsys.evaluation.summary": "evaluate",
    },
)
