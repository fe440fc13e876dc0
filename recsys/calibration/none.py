"""No calibration: the identity."""

from torch import Tensor

from recsys.calibration.base import Calibration, Floats
from recsys.config.calibrations.none import NoCalibrationSection

__all__ = ["NoCalibration"]


class NoCalibration(Calibration):
    """The identity."""

    section = NoCalibrationSection

    def fit(self, probability: Floats, label: Floats, weight: Floats | None) -> None:
        """Learn nothing."""

    def forward(self, probability: Tensor) -> Tensor:
        return probability
