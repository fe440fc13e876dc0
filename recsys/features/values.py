"""Columns of any type -> keys and numbers; a value that fits neither is located and shown."""

import numpy as np
import polars as pl

from recsys.features.fingerprint import NULL_KEY, KeyKind, xxhash64_keys

__all__ = ["BadColumn", "BadValue", "key_kind", "to_keys", "to_numbers"]

FLOAT32_MAX = 3.4028234663852886e38
"""Models compute in float32; larger numbers are as good as infinite."""
_TEXT = (pl.String, pl.Categorical, pl.Enum, pl.Binary)
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
    inner = getattr(dtype, "inner", dtype)
    return "text" if isinstance(inner, _TEXT) else "int"


def to_keys(series: pl.Series, kind: KeyKind) -> pl.Series:
    """Turn values into keys; equal values of the same kind get equal keys, whatever the type of the column.

    Args:
        series: text, categorical, integers, booleans, or floats that are whole numbers.
        kind: "int": the integer is the key (uint64 wraps; texts are parsed, "" is missing). "text": xxhash64 of the
            text (integers as decimal text).

    Returns:
        Int64 of the same length; a missing value is `NULL_KEY`.

    Raises:
        BadColumn: the type has no keys.
        BadValue: a text is not an integer, or a float is not whole.
    """
    dtype = series.dtype
    if dtype == pl.Null:
        return pl.repeat(NULL_KEY, len(series), dtype=pl.Int64, eager=True).alias(series.name)
    if isinstance(dtype, _TEXT):
        texts = _texts(series)
        return xxhash64_keys(texts) if kind == "text" else _parsed_integers(texts).fill_null(NULL_KEY)
    if dtype == pl.Boolean:
        series = series.cast(pl.Int64)
    elif dtype.is_float():
        series = _whole_numbers(series)
    elif not dtype.is_integer():
        raise BadColumn(f"expected ids (text, integers or booleans), the column holds {dtype}")
    if kind == "text":
        return xxhash64_keys(series.cast(pl.String))
    return _as_int64(series).fill_null(NULL_KEY)


def to_numbers(series: pl.Series) -> pl.Series:
    """Turn values into Float64; null, NaN, infinities and what float32 cannot hold are NaN, and so is the empty text.

    Raises:
        BadColumn: the type has no numbers.
        BadValue: a text is not a number.
    """
    dtype = series.dtype
    if isinstance(dtype, _TEXT):
        series = _parsed_numbers(_texts(series))
    elif dtype in (pl.Null, pl.Boolean) or dtype.is_numeric():
        series = series.cast(pl.Float64)
    else:
        raise BadColumn(f"expected numbers, the column holds {dtype}")
    numbers = series.fill_null(float("nan"))
    holds = numbers.abs() <= FLOAT32_MAX  # false for NaN, too
    return numbers if holds.all() else numbers.set(~holds, float("nan"))


def _texts(series: pl.Series) -> pl.Series:
    try:
        return series.cast(pl.String)
    except pl.exceptions.ComputeError:  # bytes; the error does not say which
        _check(pl.Series([not _is_utf8(value) for value in series]), series, "UTF-8 text")
        raise


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
        parsed = parsed.zip_with(parsed.is_not_null(), _as_int64(texts.cast(pl.UInt64, strict=False)))
        _check(parsed.is_null() & texts.is_not_null(), texts, "an integer")
    return parsed


def _parsed_numbers(texts: pl.Series) -> pl.Series:
    parsed = texts.cast(pl.Float64, strict=False)
    if parsed.null_count() > texts.null_count():
        texts = texts.str.strip_chars()
        parsed = texts.cast(pl.Float64, strict=False)
        _check(parsed.is_null() & texts.is_not_null() & (texts != ""), texts, "a number")
    return parsed


def _whole_numbers(series: pl.Series) -> pl.Series:
    series = series.cast(pl.Float64).fill_nan(None)
    values = series.fill_null(0.0).to_numpy()
    with np.errstate(invalid="ignore"):  # infinities
        bad = (values != np.floor(values)) | (np.abs(values) >= _LARGEST)
    _check(pl.Series(bad), series, "an id (text or a whole number)")
    return series.cast(pl.Int64)


def _check(bad: pl.Series, series: pl.Series, promised: str) -> None:
    positions = bad.arg_true()
    if len(positions):
        position = int(positions[0])
        raise BadValue(f"expected {promised}, got {series[position]!r}", position)
