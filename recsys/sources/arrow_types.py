"""Types of Arrow as polars types, one column at a time: one that nothing reads does not cost the file."""

import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import compute, types

from recsys.errors import DataError

__all__ = ["ForeignType", "plain_type", "polars_types", "read_as", "to_frame"]

_KNOWN = (
    *(types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_date, types.is_time),
    *(types.is_duration, types.is_decimal128, types.is_fixed_size_binary),
    *(types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary),
    types.is_binary_view,
)
_LISTS = (
    (types.is_list, types.is_list_view, pa.list_),
    (types.is_large_list, types.is_large_list_view, pa.large_list),
)
_MOST_DECIMALS = 18
"""Digits after the point that leave room for every integer of 64 bits before it."""
_WHOLE_HOURS = re.compile(r"[+-](?:0\d|1[0-2]):00")


class ForeignType(pl.DataType):
    """A type that polars does not know, under its name in Arrow."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name


def polars_types(schema: Any, path: Path) -> dict[str, pl.DataType]:
    """Return the columns of an Arrow schema with the types in which they are read.

    Raises:
        DataError: two columns have one name.
    """
    names = [str(name) for name in schema.names]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise DataError(f"{path}: two columns are called {repeated[0]!r}")
    return {name: _polars_type(field) for name, field in zip(names, schema, strict=True)}


def read_as(array: Any) -> Any:
    """Return an Arrow array in a type that polars knows."""
    plain = plain_type(array.type)
    if types.is_list_view(array.type) or types.is_large_list_view(array.type):
        lists = pa.LargeListArray.from_arrays(_offsets(array), compute.list_flatten(array), mask=array.is_null())
        return lists.cast(plain)  # Arrow's own cast of views makes invalid arrays
    return array if plain == array.type else array.cast(plain)


def _offsets(lists: Any) -> Any:
    lengths = compute.fill_null(compute.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))


def to_frame(table: Any) -> pl.DataFrame:
    """Convert an Arrow table or record batch without copying."""
    frame = pl.from_arrow(table, rechunk=False)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _polars_type(field: Any) -> pl.DataType:
    plain = plain_type(field.type)
    if not _is_known(plain):
        return ForeignType(str(field.type))
    schema = to_frame(pa.schema([field.with_type(plain)]).empty_table()).schema
    return next(iter(schema.values()))


def plain_type(dtype: Any) -> Any:
    """Return the type itself, or one that polars knows and that holds the same values."""
    if types.is_timestamp(dtype) and not _is_zone(dtype.tz):
        return pa.timestamp(dtype.unit, "UTC")  # "+05:30"; the values are in UTC whatever the zone
    if types.is_decimal32(dtype) or types.is_decimal64(dtype):
        return pa.decimal128(dtype.precision, dtype.scale)
    if types.is_decimal256(dtype) and dtype.scale <= _MOST_DECIMALS:
        return pa.decimal128(38, dtype.scale)
    if isinstance(dtype, pa.BaseExtensionType):
        return plain_type(dtype.storage_type)
    for is_list, is_view, list_of in _LISTS:
        entry = plain_type(dtype.value_type) if is_list(dtype) or is_view(dtype) else None
        if entry is not None and (is_view(dtype) or entry != dtype.value_type):
            return list_of(entry)
    return dtype


def _is_known(dtype: Any) -> bool:
    if isinstance(dtype, pa.BaseExtensionType):
        return _is_known(dtype.storage_type)
    if types.is_timestamp(dtype):
        return _is_zone(dtype.tz)
    if types.is_dictionary(dtype):
        return _is_known(dtype.value_type)
    if types.is_nested(dtype):
        is_known = types.is_struct(dtype) or types.is_list(dtype) or types.is_large_list(dtype)
        is_known = is_known or types.is_fixed_size_list(dtype) or types.is_map(dtype)
        return is_known and all(_is_known(dtype.field(i).type) for i in range(dtype.num_fields))
    return any(is_one(dtype) for is_one in _KNOWN)


def _is_zone(name: str | None) -> bool:
    """Say whether polars knows a time zone; it takes whole hours for zones such as Etc/GMT-2."""
    if name is None or _WHOLE_HOURS.fullmatch(name):
        return True
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such zone, or no name of one
        return False
    return True
