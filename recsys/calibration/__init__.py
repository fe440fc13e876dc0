"""Calibrations: increasing maps of probabilities, fitted on the validation rows after training. One file each."""

from recsys.calibration.base import Calibration, Curve, Floats
from recsys.calibration.build import build_calibration, register_calibration
from recsys.calibration.calibrator import Calibrator
from recsys.calibration.link import build_link, logit_shift

__all__ = [
    "Calibration",
    "Calibrator",
    "Curve",
    "Floats",
    "build_calibration",
    "build_link",
    "logit_shift",
    "register_calibration",
]
