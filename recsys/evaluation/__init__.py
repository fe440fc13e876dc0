"""Exact metrics on (score, label, weight, group): numpy only, functions first."""

from recsys.evaluation.intervals import AucDifference, AucInterval, auc_difference, auc_interval
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
    "AucDifference",
    "AucInterval",
    "CalibrationCurve",
    "GroupedAuc",
    "auc",
    "auc_difference",
    "auc_interval",
    "calibration",
    "calibration_curve",
    "evaluate",
    "gauc",
    "logloss",
    "normalised_entropy",
    "rela_impr",
]
