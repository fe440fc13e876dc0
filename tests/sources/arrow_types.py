"""A column of every Arrow type that polars reads: two values, by turns, and a null."""

from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from recsys.sources.column_types import Family

ROWS = 60


class Stored(NamedTuple):
    """A type, what it is read as, and two values of it."""

    type: pa.DataType
    family: Family
    first: Any
    second: Any

    def array(self, *, gaps: bool = True) -> pa.Array:
        if pa.types.is_dictionary(self.type):
            return self._replaced(self.type.value_type).array(gaps=gaps).dictionary_encode()
        if pa.types.is_duration(self.type):
            return self._replaced(pa.int64()).array(gaps=gaps).cast(self.type)
        values = [(self.first, self.second)[row * row % 5 % 2] for row in range(ROWS)]
        return pa.array([None if gaps and row % 7 == 3 else one for row, one in enumerate(values)], self.type)

    def _replaced(self, type_: pa.DataType) -> "Stored":
        return self._replace(type=type_)


NOON, NIGHT = datetime(2017, 11, 25, 12), datetime(2017, 11, 26, 23, 30)
_PLAIN = [
    *[Stored(width(), "integer", 3, 7) for width in (pa.int8, pa.int16, pa.int32, pa.int64)],
    *[Stored(width(), "integer", 3, 7) for width in (pa.uint8, pa.uint16, pa.uint32, pa.uint64)],
    *[Stored(width(), "float", 3.0, 7.0) for width in (pa.float16, pa.float32, pa.float64)],
    *[Stored(kind, "decimal", Decimal(3), Decimal(7)) for kind in (pa.decimal32(5, 0), pa.decimal64(12, 2))],
    *[Stored(kind, "decimal", Decimal(3), Decimal(7)) for kind in (pa.decimal128(20, 0), pa.decimal128(38, 9))],
    Stored(pa.bool_(), "boolean", True, False),
    *[Stored(kind, "text", "red", "blue") for kind in (pa.string(), pa.large_string(), pa.string_view())],
    *[
        Stored(kind, "text", b"red", b"tan")
        for kind in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3))
    ],
    Stored(pa.date32(), "time", NOON.date(), NIGHT.date()),
    Stored(pa.date64(), "time", NOON.date(), NIGHT.date()),
    *[Stored(pa.timestamp(unit), "time", NOON, NIGHT) for unit in ("s", "ms", "us", "ns")],
    *[
        Stored(pa.timestamp("us", zone), "time", NOON.replace(tzinfo=UTC), NIGHT.replace(tzinfo=UTC))
        for zone in ("UTC", "Europe/Rome", "+02:00")
    ],
    *[Stored(pa.time32(unit), "other", time(1), time(2)) for unit in ("s", "ms")],
    *[Stored(pa.time64(unit), "other", time(1), time(2)) for unit in ("us", "ns")],
    *[Stored(pa.duration(unit), "other", 3, 7) for unit in ("s", "ms", "us", "ns")],
    Stored(pa.null(), "null", None, None),
]
_DICTIONARIES = [
    one._replace(type=pa.dictionary(pa.int32(), one.type))
    for one in _PLAIN
    if one.type in (pa.string(), pa.binary(), pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.decimal128(20, 0))
]
_LISTS = [
    Stored(pa.list_(one.type), one.family, [one.first, one.second], [])
    for one in _PLAIN
    if one.type not in (pa.decimal32(5, 0),) and not pa.types.is_duration(one.type)
]
_OTHER_LISTS = [
    Stored(pa.large_list(pa.int64()), "integer", [3, 7], []),
    Stored(pa.list_(pa.int64(), 2), "integer", [3, 7], [7, 7]),
    Stored(pa.list_(pa.null(), 2), "null", [None, None], None),
]
_NESTED = [
    Stored(pa.struct({"a": pa.int64()}), "other", {"a": 3}, {"a": 7}),
    Stored(pa.list_(pa.list_(pa.int64())), "other", [[3], [7]], []),
    Stored(pa.list_(pa.struct({"a": pa.int64()})), "other", [{"a": 3}], []),
    Stored(pa.map_(pa.string(), pa.int64()), "other", [("a", 3)], []),
]
STORED = {str(one.type): one for one in (*_PLAIN, *_DICTIONARIES, *_LISTS, *_OTHER_LISTS, *_NESTED)}
"""By the name of the type."""


ODD: dict[str, tuple[pa.Array, str]] = {
    "decimal256": (Stored(pa.decimal256(60, 0), "decimal", Decimal(3), Decimal(7)).array(), "id"),
    "list_view": (Stored(pa.list_view(pa.int64()), "integer", [3, 7], []).array(), "ids"),
    "large_list_view": (Stored(pa.large_list_view(pa.string()), "text", ["a"], ["a", "b"]).array(), "ids"),
    "bool8": (Stored(pa.int8(), "integer", 0, 1).array().cast(pa.bool8()), "id"),
    "json": (Stored(pa.string(), "text", "{}", "[1]").array().cast(pa.json_()), "id"),
    "uuid": (Stored(pa.binary(16), "text", b"a" * 16, b"b" * 16).array().cast(pa.uuid()), "id"),
    "uuid of any bytes": (Stored(pa.binary(16), "text", b"\xff" * 16, b"b" * 16).array().cast(pa.uuid()), ""),
    "wide decimal256": (Stored(pa.decimal256(76, 38), "decimal", Decimal(3), Decimal(7)).array(), ""),
    "interval": (pa.array([pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([3, 2, 1])] * (ROWS // 2)), ""),
    "run_end_encoded": (pa.RunEndEncodedArray.from_arrays([ROWS // 2, ROWS], [5, 6]), ""),
    "union": (pa.UnionArray.from_sparse(pa.array([0] * ROWS, pa.int8()), [pa.array([7] * ROWS)]), ""),
}
"""Columns of types that polars does not know, and the feature type that reads them; "" if none does."""


def write_columns(path: Path, **columns: pa.Array) -> Path:
    """Write a parquet or Arrow file with a label `click` and these columns."""
    rows = len(next(iter(columns.values())))
    clicks = pa.array([row // 2 % 2 for row in range(rows)])
    table = pa.table({"click": clicks, **columns})
    if path.suffix == ".arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        parquet.write_table(table, path)
    return path
