"""Physical types of columns: the one table of what each is read as, for training, `recsys init` and all messages.

Arrow's spellings of one type are one here: polars reads a dictionary of integers as integers, `large_string` and
`string_view` as text, `fixed_size_list` as lists. A dictionary of texts is text, and so are bytes, which must be UTF-8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

__all__ = ["ColumnType", "Family", "Use", "column_type", "first_typed"]

Family = Literal["null", "text", "integer", "float", "decimal", "boolean", "time", "other"]
"""Types that are read alike. null: no value, so that another file tells the type. decimal: exact, and any size."""
Use = Literal["ids", "numbers", "times"]
"""The forms in which features, labels, weights and groups read a single value."""

FAMILIES: Mapping[object, Family] = {
    pl.Null: "null",
    **dict.fromkeys((pl.String, pl.Categorical, pl.Enum, pl.Binary), "text"),
    **dict.fromkeys((pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64), "integer"),
    **dict.fromkeys((pl.Float16, pl.Float32, pl.Float64), "float"),
    **dict.fromkeys((pl.Decimal, pl.Int128, pl.UInt128), "decimal"),
    pl.Boolean: "boolean",
    **dict.fromkeys((pl.Date, pl.Datetime), "time"),
}
"""All other types are "other": no feature reads them."""
USES: Mapping[Family, frozenset[Use]] = {
    "null": frozenset({"ids", "numbers", "times"}),
    "text": frozenset({"ids", "numbers", "times"}),
    "integer": frozenset({"ids", "numbers", "times"}),
    "float": frozenset({"ids", "numbers", "times"}),
    "decimal": frozenset({"ids", "numbers", "times"}),
    "boolean": frozenset({"ids", "numbers"}),
    "time": frozenset({"times"}),
    "other": frozenset(),
}
"""The forms in which each family can be read. Values decide the rest: an id is whole, a text is a number or is none."""
PROMISES: Mapping[Use, str] = {
    "ids": "ids (text, integers or booleans)",
    "numbers": "numbers",
    "times": "points in time",
}
_STORED_ALIKE: Mapping[Family, str] = dict.fromkeys(("integer", "float", "decimal", "boolean"), "number")
_REMEDIES: Mapping[object, str] = {
    pl.Struct: "make its fields columns of their own",
    pl.List: "make one list of the lists in each row",
    pl.Duration: "store it as a number, such as seconds",
    pl.Time: "store it as a number, such as seconds, or with its date",
}


@dataclass(frozen=True, slots=True)
class ColumnType:
    """The type of a column as far as reading it goes."""

    dtype: pl.DataType
    """The type in polars."""
    family: Family
    """Family of the values; of lists, that of their entries."""
    is_list: bool

    @property
    def is_untyped(self) -> bool:
        """Whether there can be no value: pandas and Arrow write such columns where all values of a file are missing."""
        return self.family == "null"

    @property
    def is_readable(self) -> bool:
        """Whether some feature type reads the column; of lists, whether their entries can be ids."""
        return self.can_be("ids") or (bool(USES[self.family]) and not self.is_list)

    def can_be(self, use: Use) -> bool:
        """Say whether the values, or the entries of the lists, can be read so."""
        return use in USES[self.family]

    def agrees_with(self, other: "ColumnType") -> bool:
        """Say whether one column may be of both types, one in each file: equal values are read as equal ones."""
        if self.is_untyped or other.is_untyped:
            return self.is_list == other.is_list or (self if self.is_untyped else other).dtype == pl.Null
        alike = _STORED_ALIKE.get(self.family, self.family) == _STORED_ALIKE.get(other.family, other.family)
        same_other = self.family != "other" or self.dtype.base_type() == other.dtype.base_type()
        return alike and same_other and self.is_list == other.is_list

    def described(self) -> str:
        """Return the name of the type, and what can be done if nothing reads it."""
        if self.is_readable:
            return str(self.dtype)
        entry = self.dtype.inner if isinstance(self.dtype, pl.List | pl.Array) else self.dtype
        return f"{self.dtype}: {_REMEDIES.get(entry.base_type(), 'store it as another type')}"

    def refusal(self, use: Use) -> str:
        """Return the words with which a column is refused that cannot be read so."""
        return f"expected {PROMISES[use]}, the column holds {self.described()}"


def column_type(dtype: pl.DataType) -> ColumnType:
    """Look a type up.

    >>> column_type(pl.List(pl.Categorical())).family, column_type(pl.Array(pl.UInt8, 3)).is_list
    ('text', True)
    """
    is_list = isinstance(dtype, pl.List | pl.Array)
    entry = dtype.inner if isinstance(dtype, pl.List | pl.Array) else dtype
    return ColumnType(dtype, FAMILIES.get(entry.base_type(), "other"), is_list)


def first_typed(files: Sequence[Mapping[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """Return the columns of the first file, each with its type in the first file that has a type for it.

    >>> first_typed([{"a": pl.Null(), "b": pl.Int8()}, {"a": pl.String(), "b": pl.Int64()}])
    {'a': String, 'b': Int8}
    """
    found = {}
    for name, first in files[0].items():
        types = (column_type(columns[name]) for columns in files if name in columns)
        found[name] = next((one.dtype for one in types if not one.is_untyped), first)
    return found
