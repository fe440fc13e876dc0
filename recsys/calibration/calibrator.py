"""The calibrations of all tasks, side by side, and which curve calibrates which row.

Dimension key: B rows, R rows of a split, T tasks, V values with a curve of their own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys.calibration.base import Calibration
from recsys.calibration.build import build_calibration
from recsys.calibration.by_value import CalibrationRows, find_values, fit_by_value
from recsys.config.calibrations import CalibrationSection
from recsys.errors import ConfigError

__all__ = ["Calibrator"]


class Calibrator(nn.Module):
    """A calibration for each task: probabilities (B, T) float64 -> calibrated ones (B, T) float64.

    With `by` in the section, values of that field have curves of their own. All other rows have the curve of all rows.

    Args:
        config: the section `calibration`.
        tasks: names of the tasks, in the order of the columns.
    """

    ids: Tensor
    """(V,) int64, ascending: the ids of the values that have curves of their own, which are number 1, 2, ..."""
    shares: Tensor
    """(V + 1, T) float64: how much a row follows the curve with this number, and not that of all rows, number 0."""

    def __init__(self, config: CalibrationSection, tasks: Sequence[str]) -> None:
        super().__init__()
        self.method = config.method
        self.by = config.by or ""  # TorchScript wants one type
        self.tasks = list(tasks)
        self.of_tasks = nn.ModuleList([build_calibration(config) for _ in tasks])
        self.register_buffer("ids", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("shares", torch.zeros(1, len(self.tasks), dtype=torch.float64))

    def forward(self, probability_BT: Tensor, ids: dict[str, Tensor]) -> Tensor:
        """Return calibrated probabilities.

        Shape:
            probability_BT: (B, T) float64.
            ids: field -> (B,) int64, that of `by` if there is one.
            output: (B, T) float64.
        """
        all_rows_B = torch.zeros_like(probability_BT[:, 0], dtype=torch.int64)
        curve_B = all_rows_B
        if self.ids.numel() > 0:
            id_B = ids[self.by]
            place_B = torch.searchsorted(self.ids, id_B).clamp(max=self.ids.numel() - 1)
            curve_B = torch.where(self.ids[place_B] == id_B, place_B + 1, 0)
        columns: list[Tensor] = []
        for t, calibration in enumerate(self.of_tasks):
            found = calibration(probability_BT[:, t], all_rows_B)
            if self.ids.numel() > 0:
                of_value = calibration(probability_BT[:, t], curve_B)
                found = torch.lerp(found, of_value, self.shares[curve_B, t])
            columns.append(found)
        return torch.stack(columns, dim=1)

    def fit(
        self,
        probability_RT: np.ndarray,
        label_RT: np.ndarray,
        weight_R: np.ndarray | None,
        id_R: np.ndarray | None = None,
        *,
        unknown: int = 0,
    ) -> None:
        """Fit each task on the validation rows.

        Args:
            probability_RT: their predictions.
            label_RT: their labels.
            weight_R: their weights, if they have any.
            id_R: ids of the field `by`, if there is one.
            unknown: the id of what is no value of this field: missing, or not in the vocabulary.

        Raises:
            ConfigError: a calibration gives what is no probability.
        """
        weight = None if weight_R is None else weight_R.astype(np.float64)
        values = find_values(np.zeros(0, np.int64), unknown=unknown)
        if self.by:
            assert id_R is not None
            values = find_values(id_R, weight, unknown=unknown)
        shares_VT = np.zeros((len(values.ids), len(self.tasks)))
        curves = []
        for t in range(len(self.tasks)):
            probability = np.ascontiguousarray(probability_RT[:, t], np.float64)
            rows = CalibrationRows(probability, label_RT[:, t].astype(np.float64), weight)
            of_task, shares_VT[:, t] = fit_by_value(self._calibration(t), rows, values)
            curves.append(of_task)
        is_followed = (shares_VT > 0).any(axis=1)
        numbers = [0, *(1 + np.flatnonzero(is_followed))]
        for t, of_task in enumerate(curves):
            self._calibration(t).set_curves([of_task[number] for number in numbers])
        self.ids = torch.from_numpy(values.ids[is_followed])
        self.shares = torch.from_numpy(np.concatenate([np.zeros((1, len(self.tasks))), shares_VT[is_followed]]))
        found_RT = self.calibrate(probability_RT, id_R)
        for t, task in enumerate(self.tasks):
            if not ((found_RT[:, t] >= 0) & (found_RT[:, t] <= 1)).all():
                raise ConfigError(f"calibration: {self.method} gives what is no probability for the task {task!r}")

    def calibrate(self, probability_RT: np.ndarray, id_R: np.ndarray | None = None) -> np.ndarray:
        """Return calibrated probabilities (R, T) of uncalibrated ones.

        Args:
            probability_RT: predictions.
            id_R: ids of the field `by`, if there is one.
        """
        ids = {} if id_R is None else {self.by: torch.from_numpy(id_R)}
        with torch.no_grad():
            return np.asarray(self(torch.from_numpy(probability_RT), ids))

    def fitted(self) -> dict[str, Any]:
        """Return what was learned, for JSON.

        Returns:
            `ids`: those of the values that have curves of their own; `tasks`: task -> `shares`, how much the curve of
            each value counts, and `curves`, that of all rows and those of the values.
        """
        tasks = {}
        for t, task in enumerate(self.tasks):
            curves = [{name: values.tolist() for name, values in of.items()} for of in self._calibration(t).curves()]
            tasks[task] = {"shares": self.shares[1:, t].tolist(), "curves": curves}
        return {"ids": self.ids.tolist(), "tasks": tasks}

    def load(self, fitted: dict[str, Any]) -> None:
        """Take over what `fitted` returned.

        Raises:
            KeyError: a task or a part of it is missing.
            ValueError, TypeError: values are no numbers, or not as many as they should be.
        """
        ids = torch.tensor(fitted["ids"], dtype=torch.int64)
        shares_VT = torch.zeros(len(ids), len(self.tasks), dtype=torch.float64)
        for t, task in enumerate(self.tasks):
            of_task = fitted["tasks"][task]
            shares = np.array(of_task["shares"], np.float64)
            curves = [{name: np.array(values, np.float64) for name, values in one.items()} for one in of_task["curves"]]
            if shares.shape != ids.shape or len(curves) != len(ids) + 1 or not ((shares >= 0) & (shares <= 1)).all():
                raise ValueError(f"{task}: must have a share and a curve for each id")
            shares_VT[:, t] = torch.from_numpy(shares)
            self._calibration(t).set_curves(curves)
        if not bool((ids[1:] > ids[:-1]).all()):
            raise ValueError("ids: must be ascending")
        self.ids, self.shares = ids, torch.cat([torch.zeros(1, len(self.tasks), dtype=torch.float64), shares_VT])

    def _calibration(self, t: int) -> Calibration:
        found = self.of_tasks[t]
        assert isinstance(found, Calibration)
        return found
