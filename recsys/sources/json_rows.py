"""Rows as JSON holds them -> columns: one kind of values in each, and no value that becomes another on the way."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

import polars as pl
import pyarrow as pa

from recsys.sources.location import RowLocation

__all__ = ["first_without_bytes", "json_frame"]

_KINDS: Mapping[type, str] = {bool: "a boolean", int: "an integer", float: "a number", str: "a text", list: "a list"}


class _BadJson(Exception):  # noqa: N818 - becomes a DataError once column and row are known
    """One value cannot be in a column; `position` is its index."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(problem)
        self.position = position


def json_frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], location: RowLocation) -> pl.DataFrame:
    """Return the named columns of rows that were read from JSON, with the types that their values have.

    A column holds texts (an integer between texts is its decimal text), integers of up to 64 bits, numbers, booleans,
    or lists of these. Null is a missing value.

    Args:
        rows: the values of each row by column; others are not looked at.
        columns: what each row must have.
        location: source of the rows, for messages.

    Raises:
        DataError: a row lacks a column, or a value is none of these or of another kind than others of its column.

    >>> json_frame([{"user": 7, "seen": ["a"]}, {"user": None, "seen": []}], ["user", "seen"], RowLocation()).rows()
    [(7, ['a']), (None, [])]
    """
    found = []
    for name in columns:
        missing = next((row for row, values in enumerate(rows) if name not in values), None)
        if missing is not None:
            raise location.value(name, "is missing; write null where there is no value", missing)
        try:
            found.append(_column([row[name] for row in rows]).alias(name))
        except _BadJson as error:
            raise location.value(name, str(error), error.position) from error
    return pl.DataFrame(found)


def _column(values: list[Any]) -> pl.Series:
    """Return single values, or lists of them, as a column; null among lists is the empty list."""
    if not any(isinstance(value, list) for value in values):
        return _flat(values)
    for row, value in enumerate(values):
        if not isinstance(value, list | None):
            raise _BadJson(f"expected a list as in other rows, got {_shown(value)}", row)
    offsets = [0, *accumulate(len(value or ()) for value in values)]
    try:
        entries = _flat(list(chain.from_iterable(value or () for value in values)))
    except _BadJson as error:
        row = next(row for row, end in enumerate(offsets[1:]) if end > error.position)
        raise _BadJson(str(error), row) from error
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), entries.to_arrow())
    return pl.Series(pl.from_arrow(lists))


def _flat(values: list[Any]) -> pl.Series:
    """Return values, none of them a list, as a column of the one type that holds them."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pl.Series(values, dtype=pl.Null)
    if kinds == {bool}:
        return pl.Series(values, dtype=pl.Boolean)
    if kinds <= {int, float}:
        return _numbers(values, kinds)
    if kinds <= {int, str}:
        return _texts(values)
    raise _mixed(values)


def _numbers(values: list[Any], kinds: set[type]) -> pl.Series:
    """Return integers exactly, also where some of them are written as 3.0; other numbers as floats."""
    if float in kinds and any(type(value) is float and not value.is_integer() for value in values):
        try:
            return pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
        except OverflowError:
            return _integers(values)  # which names the one that is too large
    return _integers([int(value) if type(value) is float else value for value in values])


def _integers(values: list[int | None]) -> pl.Series:
    numbers = [value for value in values if value is not None]
    is_unsigned = min(numbers) >= 0 and max(numbers) >= 2**63
    least, beyond = (0, 2**64) if is_unsigned else (-(2**63), 2**63)
    for position, value in enumerate(values):
        if value is not None and not least <= value < beyond:
            raise _BadJson(f"expected an integer of 64 bits, got {_shown(value)}", position)
    return pl.Series(values, dtype=pl.UInt64 if is_unsigned else pl.Int64)


def _texts(values: list[Any]) -> pl.Series:
    texts = [str(value) if type(value) is int else value for value in values]
    position = first_without_bytes(texts)
    if position is not None:
        raise _BadJson(f"expected Unicode text, got {texts[position]!a}", position)
    return pl.Series(texts, dtype=pl.String)


def first_without_bytes(texts: Sequence[str | None]) -> int | None:
    """Return the place of the first text that UTF-8 cannot hold: JSON can spell one half of a surrogate pair.

    >>> first_without_bytes(["a", None, chr(0xD800)])
    2
    """
    try:
        "".join(text for text in texts if text is not None).encode()
    except UnicodeEncodeError as error:
        ends = accumulate(len(text or "") for text in texts)
        return next(place for place, end in enumerate(ends) if end > error.start)
    return None


def _mixed(values: list[Any]) -> _BadJson:
    """Return the error for the first value that is not of the kind of the first one, or of no kind that can be read."""
    first = next(value for value in values if value is not None)
    promised = _KINDS.get(type(first))
    if promised is None or type(first) is list:
        return _BadJson(f"expected a text, a number or a boolean, got {_shown(first)}", values.index(first))
    position = next(
        place for place, value in enumerate(values) if value is not None and not _goes_with(type(first), type(value))
    )
    return _BadJson(f"expected {promised} as in other rows, got {_shown(values[position])}", position)


def _goes_with(first: type, other: type) -> bool:
    return first is other or {first, other} in ({int, float}, {int, str})


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a longer one"
    return text if len(text) <= 60 else f"{text[:57]}..."
