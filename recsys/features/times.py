"""Points in time -> Unix seconds -> the ids of their parts. All times are UTC."""

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.feature_types import DatetimeFeature, DatetimePart
from recsys.features.fingerprint import NULL_KEY, Keys
from recsys.features.values import BadColumn, BadValue, as_text, whole_numbers
from recsys.sources.column_types import column_type

__all__ = ["part_ids", "to_seconds"]

_DAY = 86_400
_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_ISO = "a Unix time or an ISO 8601 date (another form needs `format`)"


def to_seconds(series: pl.Series, feature: DatetimeFeature) -> pl.Series:
    """Turn a column into Unix seconds, rounded down.

    Dates and datetimes are read as they are (a time zone is converted to UTC). Numbers are Unix times in
    `feature.unit`, unless there is a format: then they are whole, and their decimal text is parsed. Text without a
    format may be a Unix time or ISO 8601.

    Returns:
        Int64 of the same length; a missing time is `NULL_KEY`.

    Raises:
        BadColumn: the type has no times, or the format is not valid.
        BadValue: a text does not have the form of a time.
    """
    found = column_type(series.dtype)
    if found.is_list or not found.can_be("times"):
        raise BadColumn(found.refusal("times"))
    match found.family:
        case "null":
            seconds = series.cast(pl.Int64)
        case "time":
            seconds = _from_calendar(series)
        case "text":
            seconds = _parsed(as_text(series), feature)
        case _ if feature.format is not None:
            seconds = _parsed(whole_numbers(series, "a whole number").cast(pl.String), feature)
        case _:
            seconds = _from_ticks(series, feature)
    return seconds.fill_null(NULL_KEY).alias(series.name)


def _from_calendar(series: pl.Series) -> pl.Series:
    """Divide what is stored, so that times which the unit of another type cannot express are no matter."""
    stored = series.to_physical().cast(pl.Int64)
    if not isinstance(series.dtype, pl.Datetime):
        return stored * _DAY
    return stored // _TICKS[series.dtype.time_unit]


def _from_ticks(series: pl.Series, feature: DatetimeFeature) -> pl.Series:
    if series.dtype.is_float():
        series = series.set(~series.is_finite(), None)
    if not series.dtype.is_integer():
        series = series.floor()
    return series.cast(pl.Int64, strict=False) // _TICKS[feature.unit]


def _parsed(texts: pl.Series, feature: DatetimeFeature) -> pl.Series:
    texts = texts.set(texts == "", None)
    if feature.format is None:
        seconds = _from_ticks(texts.cast(pl.Float64, strict=False), feature)
        if seconds.null_count() > texts.null_count():
            times = texts.str.to_datetime(strict=False, time_unit="us", time_zone="UTC")
            seconds = seconds.zip_with(seconds.is_not_null(), times.dt.epoch("us") // 1_000_000)
    else:
        seconds = _strptime(texts, feature.format)
    bad = (seconds.is_null() & texts.is_not_null()).arg_true()
    if len(bad):
        promised = _ISO if feature.format is None else f"a time in the format {feature.format!r}"
        raise BadValue(f"expected {promised}, got {texts[bad[0]]!r}", int(bad[0]))
    return seconds


def _strptime(texts: pl.Series, pattern: str) -> pl.Series:
    hours = any(code in pattern for code in ("%H", "%I", "%k", "%l"))
    if hours and not any(code in pattern for code in ("%M", "%T", "%R", "%X")):
        texts, pattern = texts + " 00", pattern + " %M"  # the parser wants minutes beside hours
    try:
        times = texts.str.strptime(pl.Datetime("us"), pattern, strict=False)
    except pl.exceptions.PolarsError as error:
        raise BadColumn(f"format {pattern!r}: {str(error).splitlines()[0]}") from error
    return times.dt.epoch("us") // 1_000_000


def part_ids(seconds: Keys, part: DatetimePart) -> NDArray[np.int32]:
    """Return the id of a part of each time.

    >>> part_ids(np.array([1413867600, NULL_KEY]), "hour").tolist()  # 2014-10-21 05:00
    [6, 0]

    Args:
        seconds: (rows,) Unix time, `NULL_KEY` where missing.
        part: minute, hour, weekday (Monday first), weekend (no, yes), day of the month, month.

    Returns:
        (rows,) ids: 0 where missing, else 1 + the value counted from 0; all below `PART_SIZES[part]`.
    """
    missing = seconds == NULL_KEY
    ids = _PARTS[part](np.where(missing, 0, seconds)) + 1
    return np.where(missing, 0, ids).astype(np.int32)


def _day(seconds: Keys) -> Keys:
    days = seconds // _DAY
    first_of_month = days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days - first_of_month


def _month(seconds: Keys) -> Keys:
    return (seconds // _DAY).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12


def _weekday(seconds: Keys) -> Keys:
    return (seconds // _DAY + 3) % 7  # 1970-01-01 was a Thursday


_PARTS: dict[DatetimePart, Callable[[Keys], Keys]] = {
    "minute": lambda seconds: seconds // 60 % 60,
    "hour": lambda seconds: seconds // 3600 % 24,
    "weekday": _weekday,
    "weekend": lambda seconds: (_weekday(seconds) >= 5).astype(np.int64),
    "day": _day,
    "month": _month,
}
