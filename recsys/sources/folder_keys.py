"""Keys of the folders that a file lies in, as Hive and Spark name them: `date=2024-01-01/hour=7/part-0.parquet`."""

from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from recsys.sources.location import RowLocation

__all__ = ["check_key", "folder_keys"]

_NULL = "__HIVE_DEFAULT_PARTITION__"


def folder_keys(path: Path, null_values: Collection[str] = ()) -> dict[str, str | None]:
    """Return the keys of the folders right above a file, the outermost first.

    Args:
        path: the file, as it was named.
        null_values: texts that mean null.

    >>> folder_keys(Path("log/city=New%20York/hour=__HIVE_DEFAULT_PARTITION__/part-0.csv"))
    {'city': 'New York', 'hour': None}
    """
    keys: dict[str, str | None] = {}
    for name in reversed(path.parts[:-1]):
        key, is_key, value = name.partition("=")
        if not key or not is_key:
            break
        value = _decoded(value)
        keys[_decoded(key)] = None if value in ("", _NULL, *null_values) else value
    return dict(reversed(keys.items()))


def check_key(series: pl.Series, value: str | None, location: RowLocation) -> None:
    """Raise DataError if a column of the file says something else than a folder above it."""
    differs = series.is_not_null() if value is None else ~_equals(series, value).fill_null(False)
    row = differs.arg_true()
    if len(row):
        shown = str(series.slice(row[0], 1).to_list()[0])
        problem = f"{shown!r}, but the folder is called {series.name}={_NULL if value is None else value}"
        raise location.value(series.name, f"{problem}: rename one of them", row[0])


def _equals(series: pl.Series, value: str) -> pl.Series:
    if series.dtype.is_numeric():
        return series.cast(pl.Float64) == _number(value)
    texts = series.cast(pl.String, strict=False)
    return texts.str.starts_with(value) if isinstance(series.dtype, pl.Datetime) else texts == value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text
