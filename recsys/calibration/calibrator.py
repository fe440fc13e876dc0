"""The calibrations of all tasks, side by side.

Dimension key: B rows, R rows of a split, T tasks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys.calibration.base import Calibration
from recsys.calibration.build import build_calibration
from recsys.config.calibrations import CalibrationSection
from recsys.errors import ConfigError

__all__ = ["Calibrator"]


class Calibrator(nn.Module):
    """A calibration for each task: probabilities (B, T) float64 -> calibrated ones (B, T) float64.

    Args:
        config: the section `calibration`.
        tasks: names of the tasks, in the order of the columns.
    """

    def __init__(self, config: CalibrationSection, tasks: Sequence[str]) -> None:
        super().__init__()
        self.method = config.method
        self.tasks = list(tasks)
        self.of_tasks = nn.ModuleList([build_calibration(config) for _ in tasks])

    def forward(self, probability_BT: Tensor) -> Tensor:
        columns: list[Tensor] = []
        for t, calibration in enumerate(self.of_tasks):
            columns.append(calibration(probability_BT[:, t]))
        return torch.stack(columns, dim=1)

    def fit(self, probability_RT: np.ndarray, label_RT: np.ndarray, weight_R: np.ndarray | None) -> None:
        """Fit each task on the validation rows.

        Raises:
            ConfigError: a calibration gives what is no probability.
        """
        weight = None if weight_R is None else weight_R.astype(np.float64)
        for t, task in enumerate(self.tasks):
            calibration = self._calibration(t)
            probability = np.ascontiguousarray(probability_RT[:, t], np.float64)
            calibration.fit(probability, label_RT[:, t].astype(np.float64), weight)
            found = calibration(torch.from_numpy(probability))
            if not bool(((found >= 0) & (found <= 1)).all()):
                raise ConfigError(f"calibration: {self.method} gives what is no probability for the task {task!r}")

    def calibrate(self, probability_RT: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities (R, T) of uncalibrated ones."""
        with torch.no_grad():
            return np.asarray(self(torch.from_numpy(probability_RT)))

    def fitted(self) -> dict[str, dict[str, Any]]:
        """Return what was learned, for JSON: task -> buffer -> its values."""
        return {
            task: {name: buffer.tolist() for name, buffer in self._calibration(t).named_buffers()}
            for t, task in enumerate(self.tasks)
        }

    def load(self, fitted: dict[str, dict[str, Any]]) -> None:
        """Take over what `fitted` returned.

        Raises:
            KeyError: a task or a buffer is missing.
            ValueError, TypeError: values are no numbers.
        """
        for t, task in enumerate(self.tasks):
            calibration = self._calibration(t)
            for name, _ in list(calibration.named_buffers()):
                owner, _, last = name.rpartition(".")
                value = torch.tensor(fitted[task][name], dtype=torch.float64)
                setattr(calibration.get_submodule(owner), last, value)

    def _calibration(self, t: int) -> Calibration:
        found = self.of_tasks[t]
        assert isinstance(found, Calibration)
        return found
