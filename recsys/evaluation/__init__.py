"""Exact metrics on (probability, label, weight, group): numpy only, functions first.

The names below are imported when they are first used: the registry of metrics is asked by configurations, which are
checked without numpy.
"""

from typing import TYPE_CHECKING

from recsys.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from recsys.evaluation.arrays import mean_influence
    from recsys.evaluation.intervals import (
        Difference,
        Interval,
        auc_difference,
        auc_interval,
        difference,
        interval,
        rela_impr_interval,
    )
    from recsys.evaluation.metrics import METRICS, Metric, register_metric
    from recsys.evaluation.precision import average_precision
    from recsys.evaluation.predictions import Predictions, read_predictions
    from recsys.evaluation.probability import (
        CalibrationCurve,
        calibration,
        calibration_curve,
        logloss,
        normalised_entropy,
    )
    from recsys.evaluation.ranking import GroupedAuc, auc, gauc, rela_impr
    from recsys.evaluation.reliability import Brier, brier, brier_score, expected_calibration_error
    from recsys.evaluation.summary import evaluate, evaluate_tasks
    from recsys.evaluation.top import ndcg, ndcg_influence, recall, recall_influence

__all__ = [
    "METRICS",
    "Brier",
    "CalibrationCurve",
    "Difference",
    "GroupedAuc",
    "Interval",
    "Metric",
    "Predictions",
    "auc",
    "auc_difference",
    "auc_interval",
    "average_precision",
    "brier",
    "brier_score",
    "calibration",
    "calibration_curve",
    "difference",
    "evaluate",
    "evaluate_tasks",
    "expected_calibration_error",
    "gauc",
    "interval",
    "logloss",
    "mean_influence",
    "ndcg",
    "ndcg_influence",
    "normalised_entropy",
    "read_predictions",
    "recall",
    "recall_influence",
    "register_metric",
    "rela_impr",
    "rela_impr_interval",
]

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "recsys.evaluation.arrays": "mean_influence",
        "recsys.evaluation.intervals": (
            "Difference Interval auc_difference auc_interval difference interval rela_impr_interval"
        ),
        "recsys.evaluation.metrics": "METRICS Metric register_metric",
        "recsys.evaluation.precision": "average_precision",
        "recsys.evaluation.predictions": "Predictions read_predictions",
        "recsys.evaluation.probability": "CalibrationCurve calibration calibration_curve logloss normalised_entropy",
        "recsys.evaluation.ranking": "GroupedAuc auc gauc rela_impr",
        "recsys.evaluation.reliability": "Brier brier brier_score expected_calibration_error",
        "recsys.evaluation.summary": "evaluate evaluate_tasks",
        "recsys.evaluation.top": "ndcg ndcg_influence recall recall_influence",
    },
)
