"""The contract of a calibration.

Dimension key: B rows.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from recsys.config.calibrations import CalibrationSection, CustomCalibration

__all__ = ["Calibration", "Floats"]

Floats: TypeAlias = npt.NDArray[np.float64]


class Calibration(nn.Module, ABC):
    """A strictly increasing map from the probabilities of one task to calibrated ones.

    A subclass is built as `Calibration(config)`, where `config` is the section `calibration`, and then is the identity
    or anything else that is increasing. Everything that `fit` learns is in float64 buffers, of any shape, that
    `__init__` registers: they are what a run keeps and a bundle holds. `forward` is compiled by TorchScript.

    Args:
        config: the section of the configuration.
    """

    section: ClassVar[type[CalibrationSection]] = CustomCalibration
    """The section that configures it."""

    def __init__(self, config: CalibrationSection) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def fit(self, probability: Floats, label: Floats, weight: Floats | None) -> None:
        """Learn from the validation rows, the same from the same rows to the last bit.

        Args:
            probability: (B,) predictions of the best epoch, between 0 and 1.
            label: (B,) between 0 and 1, usually 0 or 1; not all the same.
            weight: (B,) weights of the rows, not all 0; None counts each row once.
        """

    @abstractmethod
    def forward(self, probability: Tensor) -> Tensor:
        """Return calibrated probabilities; NaN of NaN.

        Shape:
            probability: (B,) float64.
            output: (B,) float64.
        """
