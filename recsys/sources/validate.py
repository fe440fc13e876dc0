"""Values of raw files that native code must not see unchecked, and that are refused with row and value."""

from typing import Any

import polars as pl
import pyarrow as pa
from pyarrow import types

from recsys.sources.arrow_types import read_as
from recsys.sources.location import RowLocation

__all__ = ["check_times", "validated"]

_FIRST_DAY, _LAST_DAY = -96_465_292, 95_026_236
"""Days since 1970 of the first and the last date that polars can express."""
_DAY_SECONDS = 86_400
_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}


def validated(batch: Any, location: RowLocation) -> Any:
    """Return an Arrow batch whose offsets, texts and keys are all sound, in types that polars knows.

    Args:
        batch: what a reader made of the bytes of a file, which may be damaged.
        location: of its first row.

    Raises:
        DataError: a column is damaged.
    """
    columns = [_validated(batch.column(i), name, location) for i, name in enumerate(batch.schema.names)]
    batch.validate()  # of equal lengths
    return pa.record_batch(columns, names=batch.schema.names)


def check_times(frame: pl.DataFrame, location: RowLocation) -> None:
    """Raise DataError for a point in time that polars cannot express, and panics over."""
    for series in frame:
        inner = series.dtype.inner if isinstance(series.dtype, pl.List | pl.Array) else series.dtype
        if isinstance(inner, pl.Date | pl.Datetime | pl.Time):
            _check_series(series, inner, location)


def _validated(array: Any, name: str, location: RowLocation) -> Any:
    if types.is_date64(array.type):
        array = array.view(pa.timestamp("ms"))  # some programs store the time of day as well
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        if (row := _first_bad_text(array)) is not None:
            value = array.view(_bytes_of(array.type))[row].as_py()
            raise location.value(name, f"expected UTF-8 text, got {value[:60]!r}", row) from error
        rows = f"rows {location.first_row + 1} to {location.first_row + len(array)}"
        raise location.column(name, f"the file is damaged in {rows}: {error}") from error
    return read_as(array)


def _first_bad_text(array: Any) -> int | None:
    """Return the first text that is not UTF-8; None if something else is wrong."""
    if not (types.is_string(array.type) or types.is_large_string(array.type)):
        return None
    binary = array.view(_bytes_of(array.type))
    try:
        binary.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return next((i for i, value in enumerate(binary) if not _is_utf8(value.as_py())), None)


def _bytes_of(dtype: Any) -> Any:
    return pa.binary() if types.is_string(dtype) else pa.large_binary()


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_series(series: pl.Series, inner: pl.DataType, location: RowLocation) -> None:
    low, high, unit = _bounds(inner)
    lowest, highest = _extremes(series)
    smallest, largest = lowest.min(), highest.max()
    if isinstance(smallest, int) and isinstance(largest, int) and not low <= smallest <= largest <= high:
        row = ((lowest < low) | (highest > high)).arg_max() or 0
        value = lowest[row] if lowest[row] < low else highest[row]
        raise location.value(series.name, f"{value} {unit}", row)


def _extremes(series: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the smallest and the largest number of each row."""
    if not series.dtype.is_nested():
        return series.to_physical(), series.to_physical()
    numbers = (series.arr.to_list() if isinstance(series.dtype, pl.Array) else series).cast(pl.List(pl.Int64))
    return numbers.list.min(), numbers.list.max()


def _bounds(dtype: pl.DataType) -> tuple[int, int, str]:
    """Return the smallest and the largest number of a type, and what is wrong with others."""
    if isinstance(dtype, pl.Time):
        return 0, _DAY_SECONDS * 10**9 - 1, "ns after midnight is no time of day"
    if not isinstance(dtype, pl.Datetime):
        return _FIRST_DAY, _LAST_DAY, "days since 1970 are outside the years -262143 to 262142"
    each = _DAY_SECONDS * _PER_SECOND[dtype.time_unit]
    problem = f"{dtype.time_unit} since 1970 are outside the years -262143 to 262142"
    return _FIRST_DAY * each, (_LAST_DAY + 1) * each - 1, problem
