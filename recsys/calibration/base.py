"""The contract of a calibration.

Dimension key: B rows, C curves, N points of one curve, P points of all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recsys.config.calibrations import CalibrationSection, CustomCalibration

__all__ = ["Calibration", "Curve", "Floats"]

Floats: TypeAlias = npt.NDArray[np.float64]
Curve: TypeAlias = Mapping[str, Floats]
"""One curve, as it was learned: (N,) values by name, equally many of each."""


class Calibration(nn.Module, ABC):
    """Strictly increasing curves from the probabilities of one task to calibrated ones.

    A subclass is built as `Calibration(config)`, where `config` is the section `calibration`, and then has one curve,
    `identity`. It says how a curve is fitted, and how rows are calibrated, each by the curve that it is told. The
    curves lie end to end: what `fit` returns under a name is a float64 buffer of this name, (P,), in which curve c has
    the places from `starts[c]` to `starts[c + 1]`. `forward` is compiled by TorchScript.

    Args:
        config: the section of the configuration.
    """

    section: ClassVar[type[CalibrationSection]] = CustomCalibration
    """The section that configures it."""
    identity: ClassVar[Mapping[str, Sequence[float]]]
    """A curve before anything is fitted: the identity, or anything else that is increasing."""

    starts: Tensor

    def __init__(self, config: CalibrationSection) -> None:
        super().__init__()
        self.config = config
        self.set_curves([{name: np.array(values, np.float64) for name, values in self.identity.items()}])

    @abstractmethod
    def fit(self, probability: Floats, label: Floats, weight: Floats | None) -> Curve:
        """Return the curve that some rows make, the same from the same rows to the last bit.

        Args:
            probability: (B,) predictions of the best epoch, between 0 and 1.
            label: (B,) between 0 and 1, usually 0 or 1; not all the same.
            weight: (B,) weights of the rows, not all 0; None counts each row once.

        Returns:
            (N,) values under the names of `identity`; N is as the rows have it, but the same for all names.
        """

    @abstractmethod
    def forward(self, probability: Tensor, curve: Tensor) -> Tensor:
        """Return calibrated probabilities; NaN of NaN.

        Shape:
            probability: (B,) float64.
            curve: (B,) int64, the number of the curve of each row.
            output: (B,) float64.
        """

    def set_curves(self, curves: Sequence[Curve]) -> None:
        """Calibrate with these curves from now on.

        Raises:
            ValueError: a curve has not as many values of one name as of another.
            KeyError: a curve lacks a name.
        """
        columns = {name: [curve[name] for curve in curves] for name in self.identity}
        sizes = [max((len(curve[name]) for name in self.identity), default=0) for curve in curves]
        for name, column in columns.items():
            if [len(values) for values in column] != sizes:
                raise ValueError(f"{name}: must have as many values as {', '.join(self.identity)} of the same curve")
            self.register_buffer(name, torch.from_numpy(np.concatenate(column).astype(np.float64)))
        self.register_buffer("starts", torch.tensor([0, *np.cumsum(sizes).tolist()], dtype=torch.int64))

    def curves(self) -> list[Curve]:
        """Return the curves, in order."""
        columns = {name: self.get_buffer(name).numpy() for name in self.identity}
        return [
            {name: values[start:end] for name, values in columns.items()}
            for start, end in pairwise(self.starts.tolist())
        ]
