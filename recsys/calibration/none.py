"""No calibration: the identity."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor

from recsys.calibration.base import Calibration, Curve, Floats
from recsys.config.calibrations.none import NoCalibrationSection

__all__ = ["NoCalibration"]


class NoCalibration(Calibration):
    """The identity."""

    section = NoCalibrationSection
    identity: ClassVar[Mapping[str, Sequence[float]]] = {}

    def fit(self, probability: Floats, label: Floats, weight: Floats | None) -> Curve:  # noqa: ARG002
        """Learn nothing."""
        return {}

    def forward(self, probability: Tensor, curve: Tensor) -> Tensor:  # noqa: ARG002
        return probability
