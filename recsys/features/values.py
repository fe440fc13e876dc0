"""Columns of any type -> keys and numbers; a value that fits neither is located and shown."""

import math

import numpy as np
import polars as pl

from recsys.features.fingerprint import NULL_KEY, KeyKind, xxhash64_keys
from recsys.features.missing import fill_missing
from recsys.sources.column_types import ColumnType, Use, column_type

__all__ = ["BadColumn", "BadValue", "as_text", "key_kind", "to_keys", "to_numbers", "whole_numbers"]

FLOAT32_MAX = 3.4028234663852886e38
"""Models compute in float32; larger numbers are as good as infinite."""
_LARGEST = 2.0**63


class BadColumn(Exception):  # noqa: N818 - becomes a DataError once file and column are known
    """A column has a type that cannot be read as what was asked."""


class BadValue(Exception):  # noqa: N818 - becomes a DataError once file and column are known
    """One value is not what was asked; `position` is its index in the series."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(problem)
        self.position = position


def key_kind(dtype: pl.DataType) -> KeyKind:
    """Say how values of a column (or of the lists in it) become keys: by their text or as integers."""
    return "text" if column_type(dtype).family in ("text", "null") else "int"


def to_keys(series: pl.Series, kind: KeyKind) -> pl.Series:
    """Turn values into keys; equal values of the same kind get equal keys, whatever the type of the column.

    Args:
        series: text (also categorical, or UTF-8 bytes), integers, booleans, or whole floats and decimals.
        kind: "int": the integer is the key (uint64 wraps; texts are parsed, "" is missing). "text": xxhash64 of the
            text (integers as decimal text).

    Returns:
        Int64 of the same length; a missing value is `NULL_KEY`.

    Raises:
        BadColumn: the type has no keys, or not of this kind: booleans are spelled as text in many ways.
        BadValue: a text is not an integer, or a float is not whole.
    """
    found = _single(series, "ids")
    match found.family:
        case "null":
            return pl.repeat(NULL_KEY, len(series), dtype=pl.Int64, eager=True).alias(series.name)
        case "text":
            texts = as_text(series)
            return xxhash64_keys(texts) if kind == "text" else fill_missing(_parsed_integers(texts), NULL_KEY)
        case "boolean" if kind == "text":
            raise BadColumn(f"expected text as in training, the column holds {found.dtype}")
    integers = series if found.family == "boolean" else whole_numbers(series, "an id (text or a whole number)")
    if kind == "text":
        return xxhash64_keys(integers.cast(pl.String))
    return fill_missing(_as_int64(integers), NULL_KEY)


def to_numbers(series: pl.Series) -> pl.Series:
    """Turn values into Float64; null, NaN, infinities and what float32 cannot hold are NaN, and so is the empty text.

    Raises:
        BadColumn: the type has no numbers.
        BadValue: a text is not a number.
    """
    is_text = _single(series, "numbers").family == "text"
    series = _parsed_numbers(as_text(series)) if is_text else series.cast(pl.Float64)
    numbers = fill_missing(series, math.nan)
    holds = numbers.abs() <= FLOAT32_MAX  # false for NaN, too
    return numbers if holds.all() else numbers.set(~holds, math.nan)


def as_text(series: pl.Series) -> pl.Series:
    """Return a column of the family of texts as String.

    Raises:
        BadValue: bytes are not UTF-8 text.
    """
    try:
        return series.cast(pl.String)
    except pl.exceptions.ComputeError:  # bytes; the error does not say which
        _check(pl.Series([not _is_utf8(value) for value in series]), series, "UTF-8 text")
        raise


def _single(series: pl.Series, use: Use) -> ColumnType:
    """Return the type of a column of single values that can be read so."""
    found = column_type(series.dtype)
    if found.is_list or not found.can_be(use):
        raise BadColumn(found.refusal(use))
    return found


def _is_utf8(value: bytes | None) -> bool:
    try:
        return value is None or value.decode("utf-8") is not None
    except UnicodeDecodeError:
        return False


def _as_int64(series: pl.Series) -> pl.Series:
    return series.reinterpret(signed=True) if series.dtype == pl.UInt64 else series.cast(pl.Int64)


def _parsed_integers(texts: pl.Series) -> pl.Series:
    texts = texts.set(texts == "", None)
    parsed = texts.cast(pl.Int64, strict=False)
    if parsed.null_count() > texts.null_count():
        whole = texts.str.replace(r"^([+-]?\d+)\.0*$", "$1")  # pandas writes integers beside a gap so
        parsed = whole.cast(pl.Int64, strict=False)
        parsed = parsed.zip_with(parsed.is_not_null(), _as_int64(whole.cast(pl.UInt64, strict=False)))
        _check(parsed.is_null() & texts.is_not_null(), texts, "an integer")
    return parsed


def _parsed_numbers(texts: pl.Series) -> pl.Series:
    parsed = texts.cast(pl.Float64, strict=False)
    if parsed.null_count() > texts.null_count():
        texts = texts.str.strip_chars()
        parsed = texts.cast(pl.Float64, strict=False)
        _check(parsed.is_null() & texts.is_not_null() & (texts != ""), texts, "a number")
    return parsed


def whole_numbers(series: pl.Series, promised: str) -> pl.Series:
    """Return integers as they are, and floats and decimals as Int64; NaN is null.

    Args:
        series: integers, floats or decimals.
        promised: what a value that is not whole, or too large, should have been, for the message.

    Raises:
        BadValue: there is such a value.
    """
    match column_type(series.dtype).family:
        case "float":
            return _whole_floats(series, promised)
        case "decimal":
            return _whole_decimals(series, promised)
        case _:
            return series


def _whole_floats(series: pl.Series, promised: str) -> pl.Series:
    series = series.cast(pl.Float64).fill_nan(None)
    values = series.fill_null(0.0).to_numpy()
    with np.errstate(invalid="ignore"):  # infinities
        bad = (values != np.floor(values)) | (np.abs(values) >= _LARGEST)
    _check(pl.Series(bad), series, promised)
    return series.cast(pl.Int64)


def _whole_decimals(series: pl.Series, promised: str) -> pl.Series:
    integers = series.cast(pl.Int64, strict=False)
    is_whole = series.floor() == series
    _check(series.is_not_null() & ~(is_whole & integers.is_not_null()), series, promised)
    return integers


def _check(bad: pl.Series, series: pl.Series, promised: str) -> None:
    positions = bad.arg_true()
    if len(positions):
        position = int(positions[0])
        raise BadValue(f"expected {promised}, got {series[position]!r}", position)
