"""Label, weight and group of each row: the prepared columns that are not features."""

import numpy as np
import polars as pl
import pyarrow as pa

from recsys.config.run import Config
from recsys.features.moments import Numbers
from recsys.features.values import BadColumn, BadValue, key_kind, to_keys, to_numbers
from recsys.sources.location import RowLocation

__all__ = ["GROUP", "LABEL", "WEIGHT", "binary_labels", "target_columns", "target_schema", "targets"]

LABEL = "__label."
"""Prefix of the label columns, before the task's name: float32 between 0 and 1."""
WEIGHT = "__weight"
"""Name of the weight column: float32, not negative."""
GROUP = "__group"
"""Name of the group column: int64 keys."""
_EVERY_TASK = (
    "; a row needs the labels of all tasks, for labels that are missing for one task are not supported: leave such "
    "rows out, or train a model for each task"
)


def target_columns(config: Config) -> list[str]:
    """Return the raw columns with labels, weight and group, each once."""
    columns = [*config.labels.values(), config.weight, config.group]
    return list(dict.fromkeys(column for column in columns if column is not None))


def target_schema(config: Config) -> list[pa.Field]:
    """Return the prepared columns: the labels, then weight and group if the config names them."""
    fields = [pa.field(LABEL + task, pa.float32(), nullable=False) for task in config.labels]
    if config.weight is not None:
        fields.append(pa.field(WEIGHT, pa.float32(), nullable=False))
    if config.group is not None:
        fields.append(pa.field(GROUP, pa.int64(), nullable=False))
    return fields


def targets(frame: pl.DataFrame, config: Config, location: RowLocation) -> list[pa.Array]:
    """Read the targets of raw rows, in the order of `target_schema`.

    Raises:
        DataError: a label is not between 0 and 1, a weight is negative, or either is missing.
    """
    arrays = []
    remedy = _EVERY_TASK if len(config.labels) > 1 else ""
    for column in config.labels.values():
        labels = _numbers(frame[column], location)
        good = (labels >= 0) & (labels <= 1)
        _check(labels, good, frame[column], "a label of 0 or 1", location, if_null=remedy)
        arrays.append(pa.array(labels.astype(np.float32)))
    if config.weight is not None:
        weights = _numbers(frame[config.weight], location)
        _check(weights, weights >= 0, frame[config.weight], "a finite weight of at least 0", location)
        arrays.append(pa.array(weights.astype(np.float32)))
    if config.group is not None:
        arrays.append(pa.array(_group_keys(frame[config.group], location)))
    return arrays


def binary_labels(series: pl.Series, location: RowLocation, why: str) -> Numbers:
    """Read labels that must be 0 or 1.

    Raises:
        DataError: a label is something else; the message ends with `why`.
    """
    labels = _numbers(series, location)
    _check(labels, (labels == 0) | (labels == 1), series, f"a label of 0 or 1{why}", location)
    return labels


def _numbers(series: pl.Series, location: RowLocation) -> Numbers:
    try:
        return to_numbers(series).to_numpy()
    except BadColumn as error:
        raise location.column(series.name, str(error)) from error
    except BadValue as error:
        raise location.value(series.name, str(error), error.position) from error


def _group_keys(series: pl.Series, location: RowLocation) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    try:
        return to_keys(series, key_kind(series.dtype)).to_numpy()
    except BadColumn as error:
        raise location.column(series.name, str(error)) from error
    except BadValue as error:
        raise location.value(series.name, str(error), error.position) from error


def _check(
    numbers: Numbers,
    good: np.ndarray[tuple[int], np.dtype[np.bool_]],
    series: pl.Series,
    promised: str,
    location: RowLocation,
    *,
    if_null: str = "",
) -> None:
    assert len(numbers) == len(good)
    if not good.all():
        position = int(np.argmin(good))
        got = f"null{if_null}" if series[position] is None else repr(series[position])
        raise location.value(series.name, f"expected {promised}, got {got}", position)
