"""The section of no calibration."""

from typing import ClassVar, Literal

from recsys.config.calibrations.base import CalibrationSection

__all__ = ["NoCalibrationSection"]


class NoCalibrationSection(CalibrationSection):
    """Probabilities are those of the trained model."""

    implementation: ClassVar[str | type] = "recsys.calibration.none:NoCalibration"
    is_fitted: ClassVar[bool] = False

    method: Literal["none"] = "none"
