"""Exact metrics on (probability, label, weight, group): numpy only, functions first.

The names below are imported when they are first used: the registry of metrics is asked by configurations, which are
checked without numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_ORIGINS = {
    "intervals": ("AucDifference", "AucInterval", "auc_difference", "auc_interval"),
    "metrics": ("METRICS", "Metric", "register_metric"),
    "probability": ("CalibrationCurve", "calibration", "calibration_curve", "logloss", "normalised_entropy"),
    "ranking": ("GroupedAuc", "auc", "gauc", "rela_impr"),
    "summary": ("evaluate",),
}
"""The names of each module of this package."""


def __getattr__(name: str) -> Any:
    for module, names in _ORIGINS.items():
        if name in names:
            globals()[name] = found = getattr(import_module(f"{__name__}.{module}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
