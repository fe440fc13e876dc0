"""Predictions beside what they are compared with, and the parquet files that hold them: of a run, or of any model.

Dimension key: B rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.errors import DataError
from recsys.evaluation.arrays import WEIGHT_RULE, Floats, are_weights
from recsys.evaluation.ranking import NO_GROUP
from recsys.registry import did_you_mean

if TYPE_CHECKING:
    import polars as pl

__all__ = ["UNCALIBRATED", "Predictions", "ScoreColumns", "read_predictions"]

UNCALIBRATED = "uncalibrated"
"""Column of the scores before calibration, in the predictions of a run that is calibrated."""


class ScoreColumns(NamedTuple):
    """Names of the columns of a file of scores that is no run's."""

    label: str = "label"
    score: str = "score"
    weight: str = "weight"
    group: str = "group"

    def not_sliced(self, tasks: Iterable[str]) -> list[str]:
        """Return the columns that are none to slice by: labels and scores of some tasks, and weights."""
        of_rows = (self.label, self.score, UNCALIBRATED)
        of_tasks = [f"{name}.{task}" if task else name for name in of_rows for task in tasks]
        return [*of_tasks, self.weight]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predictions of a model for some rows, and what happened."""

    label: npt.NDArray[Any]
    """(B,) bool or numbers between 0 and 1, usually 0 or 1."""
    score: Floats
    """(B,) finite; probabilities, where figures of probabilities are asked for."""
    weight: Floats | None
    """(B,) at least 0; None if every row counts once."""
    group: npt.NDArray[np.int64] | None
    """(B,) equal where the groups, such as users, are; `NO_GROUP` without one. None if rows have no groups."""
    source: str
    """Name in messages: the file, and the task if there are several."""
    uncalibrated: Floats | None = None
    """(B,) scores before the calibration of the run; None of a run that has none, and of models from elsewhere."""

    def __len__(self) -> int:
        return len(self.label)

    def require_probabilities(self) -> None:
        """Refuse scores that are no probabilities.

        Raises:
            DataError: a score lies outside 0 to 1.
        """
        is_wrong = (self.score < 0) | (self.score > 1)
        rule = "must be between 0 and 1, since logloss and calibration need probabilities"
        remedy = "; scores that are logits become probabilities by 1 / (1 + exp(-score))"
        _refuse(f"{self.source}: score", is_wrong, self.score, rule, remedy)


def read_predictions(
    path: str | Path, *, label: str = "label", score: str = "score", weight: str = "weight", group: str = "group"
) -> dict[str, Predictions]:
    """Read a parquet file with a label and a score in each row, such as the predictions of a run.

    Args:
        path: the file.
        label: column of the labels. With several tasks there is no such column, but LABEL.TASK and SCORE.TASK.
        score: column of the scores.
        weight: column of row weights. Where the name is the default, the file may lack it.
        group: column of groups, of any type but lists; null is no group. Where the name is the default, the file may
            lack it.

    Returns:
        The predictions of each task by its name; that of the only task is "".

    Raises:
        DataError: the file cannot be read, a column is not there, or a value in it makes no sense; the message names
            file, column and row.
    """
    path = Path(path)
    columns = _Columns(path, label, score, weight, group)
    return {task: columns.predictions(task) for task in columns.tasks()}


class _Columns:
    """The columns of one file, read when they are asked for."""

    def __init__(self, path: Path, label: str, score: str, weight: str, group: str) -> None:
        import polars as pl

        self._path, self._label, self._score, self._weight, self._group = path, label, score, weight, group
        if not path.is_file():
            raise DataError(f"{path}: there is no such file")
        try:
            self._schema = pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise DataError(f"{path}: cannot be read as parquet ({error})") from error

    def tasks(self) -> list[str]:
        """Return the names of the tasks; [""] with one."""
        if self._label in self._schema:
            return [""]
        prefix = f"{self._label}."
        found = [name.removeprefix(prefix) for name in self._schema if name.startswith(prefix)]
        if not found:
            raise self._absent("label", self._label)
        return found

    def predictions(self, task: str) -> Predictions:
        """Read what belongs to a task."""
        suffix = f".{task}" if task else ""
        return Predictions(
            label=self._labels(f"{self._label}{suffix}"),
            score=self._scores(f"{self._score}{suffix}"),
            weight=self._weights,
            group=self._groups,
            source=f"{self._path}: {task}" if task else str(self._path),
            uncalibrated=self._uncalibrated(suffix),
        )

    def _labels(self, name: str) -> npt.NDArray[Any]:
        values = self._numbers("label", name)
        self._refuse(name, ~((values >= 0) & (values <= 1)), values, "a label must be 0 or 1, or between them")
        return values

    def _scores(self, name: str) -> Floats:
        values = self._numbers("score", name)
        self._refuse(name, ~np.isfinite(values), values, "a score must be a finite number")
        return values

    def _uncalibrated(self, suffix: str) -> Floats | None:
        name = f"{UNCALIBRATED}{suffix}"
        is_of_run = self._score == "score" and name in self._schema
        return self._scores(name) if is_of_run else None

    @cached_property
    def _weights(self) -> Floats | None:
        if self._weight == "weight" and "weight" not in self._schema:
            return None
        values = self._numbers("weight", self._weight)
        self._refuse(self._weight, ~are_weights(values), values, f"a weight {WEIGHT_RULE}")
        return values

    @cached_property
    def _groups(self) -> npt.NDArray[np.int64] | None:
        import polars as pl

        if self._group == "group" and "group" not in self._schema:
            return None
        column = self._read("group", self._group)
        if column.dtype.is_nested():
            raise DataError(f"{self._path}: {self._group}: a group must be one value, got {column.dtype} in each row")
        if column.dtype.is_float():
            column = column.fill_nan(None)
        if not column.dtype.is_integer() or column.dtype in (pl.UInt64, *_wide_integers()):
            column = column.cast(pl.String) if isinstance(column.dtype, pl.Categorical | pl.Enum) else column
            column = column.rank("dense")
        return column.cast(pl.Int64).fill_null(NO_GROUP).to_numpy()

    def _numbers(self, role: str, name: str) -> npt.NDArray[Any]:
        """Return a column of numbers without nulls."""
        import polars as pl

        column = self._read(role, name)
        if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
            raise DataError(f"{self._path}: {name}: a {role} must be a number, got {column.dtype}")
        column = column.cast(pl.Float64) if column.dtype in _wide_integers() or column.dtype.is_decimal() else column
        if column.null_count():
            row = int(column.is_null().arg_max() or 0) + 1
            nulls = f"{column.null_count()} of {len(column)} values are null"
            raise DataError(f"{self._path}: {name}: a {role} must not be missing, but is null in row {row}; {nulls}")
        return column.to_numpy()

    def _read(self, role: str, name: str) -> "pl.Series":
        import polars as pl

        if name not in self._schema:
            raise self._absent(role, name)
        try:
            return pl.read_parquet(self._path, columns=[name])[name]
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise DataError(f"{self._path}: {name}: cannot be read ({error})") from error

    def _refuse(self, name: str, is_wrong: npt.NDArray[np.bool_], values: npt.NDArray[Any], rule: str) -> None:
        _refuse(f"{self._path}: {name}", is_wrong, values, rule)

    def _absent(self, role: str, name: str) -> DataError:
        known = list(self._schema)
        names = f"; the columns are {', '.join(known)}" if known else ""
        return DataError(f"{self._path}: has no column {name!r} for the {role}{did_you_mean(name, known)}{names}")


def _wide_integers() -> "tuple[type[pl.DataType], ...]":
    """Return the types of integers that numpy has not."""
    import polars as pl

    return pl.Int128, pl.UInt128


def _refuse(where: str, is_wrong: npt.NDArray[np.bool_], values: npt.NDArray[Any], rule: str, remedy: str = "") -> None:
    count = int(np.count_nonzero(is_wrong))
    if count:
        row = int(np.argmax(is_wrong))
        number = f"{count} of {len(values)} values are wrong"
        raise DataError(f"{where}: {rule}; got {values[row]} in row {row + 1} ({number}){remedy}")
