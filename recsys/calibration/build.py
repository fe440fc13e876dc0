"""Builds the calibration that a configuration names."""

from typing import Any

from recsys.calibration.base import Calibration
from recsys.config.calibrations import CALIBRATIONS, CalibrationSection

__all__ = ["build_calibration", "register_calibration"]


def build_calibration(config: CalibrationSection) -> Calibration:
    """Build the calibration that the section `calibration` names, for one task.

    Raises:
        ConfigError: a class of the user's own cannot be found, or is not a `Calibration`.
    """
    build: Any = CALIBRATIONS.implementation(config, Calibration, where="calibration")
    calibration: Calibration = build(config)
    return calibration


def register_calibration(calibration: type[Calibration]) -> type[Calibration]:
    """Make a calibration usable by the name that its `section` states, and return it; also a class decorator.

    Raises:
        ConfigError: it has no section of its own, or the name is taken.
    """
    CALIBRATIONS.add_class(calibration)
    return calibration
