"""Points in time -> Unix seconds -> the ids of their parts. All times are UTC."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.feature_types import DatetimeFeature, DatetimePart, TimeUnit
from recsys.features.fingerprint import NULL_KEY, Keys
from recsys.features.missing import fill_missing
from recsys.features.values import BadColumn, BadValue, as_text, whole_numbers
from recsys.sources.column_types import column_type

__all__ = [
    "calendar_time",
    "NUMBER_FORMATS",
    "TICKS",
    "is_plausible",
    "looks_like_hours",
    "parses",
    "part_ids",
    "plausible_unit",
    "to_seconds",
    "year_of",
]

NUMBER_FORMATS = ("%Y%m%d", "%Y%m%d%H", "%y%m%d%H")
"""Formats in which dates are often written as one number."""
_FIRST_YEAR, _LAST_YEAR = 1990, 2099
_FIRST, _END = 631_152_000, 4_102_444_800
_YEAR = 31_556_952
_DAY = 86_400
TICKS: dict[TimeUnit, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_DATES = ("%Y-%m-%d", "%Y/%m/%d")
_CLOCKS = ("%H:%M:%S%.f", "%H:%M", "%H:%M:%S%.f%#z", "%H:%M%#z")
_TIMES = (f"{day}{between}{clock}" for day in _DATES for between in " T" for clock in _CLOCKS)
_ISO_FORMS = (*_DATES, *_TIMES, "%Y%m%dT%H%M%S")
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
            seconds = calendar_time(series, "s")
        case "text":
            seconds = _parsed(as_text(series), feature)
        case _ if feature.format is not None:
            seconds = _parsed(whole_numbers(series, "a whole number").cast(pl.String), feature)
        case _:
            seconds = _from_ticks(series, feature)
    return fill_missing(seconds, NULL_KEY).alias(series.name)


def is_plausible(seconds: Keys) -> NDArray[np.bool_]:
    """Say of each time whether it lies in the years from 1990 to 2099; a missing one does not."""
    return (seconds >= _FIRST) & (seconds < _END)


def looks_like_hours(numbers: Keys) -> NDArray[np.bool_]:
    """Say of each number whether it is written as 2017112513 is: read as Unix time, that is a likely one of 2033.

    Of real Unix times between 1990010100 and 2099123123 one in a hundred looks so.
    """
    month, day, hour = numbers // 10_000 % 100, numbers // 100 % 100, numbers % 100
    is_in_years = (numbers >= _FIRST_YEAR * 10**6) & (numbers < (_LAST_YEAR + 1) * 10**6)
    return is_in_years & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (hour <= 23)


def year_of(seconds: int) -> str:
    """Return the year of a time, however far away; beyond what calendars can say by its mean length.

    >>> year_of(1511568000), year_of(1511568000000), year_of(-1)
    ('2017', '49,869', '1969')
    """
    if abs(seconds) >= 8000 * _YEAR:
        return f"{1970 + seconds // _YEAR:,}"
    return str(np.datetime64(seconds, "s").astype("datetime64[Y]"))


def plausible_unit(low: float, high: float) -> TimeUnit | None:
    """Return the unit in which all Unix times between two numbers lie in the years from 1990 to 2099, if there is one.

    >>> plausible_unit(1511568000000, 1513292079000)
    'ms'
    """
    return next((unit for unit, ticks in TICKS.items() if _FIRST * ticks <= low and high < _END * ticks), None)


def parses(text: str, pattern: str | None) -> bool:
    """Say whether a text is a date in the years from 1990 to 2099 in this form; None is ISO 8601 with dashes."""
    try:
        if pattern is None:
            return text[4:5] == "-" and _FIRST_YEAR <= datetime.fromisoformat(text).year <= _LAST_YEAR
        return _FIRST_YEAR <= datetime.strptime(text, pattern).year <= _LAST_YEAR
    except ValueError:
        return False


def calendar_time(series: pl.Series, unit: TimeUnit) -> pl.Series:
    """Return dates or datetimes as Unix time, Int64, rounded down, by the integers that are stored.

    Polars' own casts panic where a time cannot be expressed. Here it becomes the last one that can.
    """
    stored, stored_unit = series.to_physical().cast(pl.Int64), getattr(series.dtype, "time_unit", None)
    per_second = TICKS[unit] * _DAY if stored_unit is None else TICKS[unit]
    ticks = 1 if stored_unit is None else TICKS[stored_unit]
    if ticks >= per_second:
        return stored // (ticks // per_second)
    factor = per_second // ticks
    limit = (2**63 - 1) // factor
    return stored.clip(-limit, limit) * factor


def _from_ticks(series: pl.Series, feature: DatetimeFeature) -> pl.Series:
    if series.dtype.is_float():
        series = series.set(~series.is_finite(), None)
    if not series.dtype.is_integer():
        series = series.floor()
    return series.cast(pl.Int64, strict=False) // TICKS[feature.unit]


def _parsed(texts: pl.Series, feature: DatetimeFeature) -> pl.Series:
    texts = texts.set(texts == "", None)
    if feature.format is None:
        seconds = _from_ticks(texts.cast(pl.Int64, strict=False), feature)
        if seconds.null_count() > texts.null_count():
            fractions = _from_ticks(texts.cast(pl.Float64, strict=False), feature)
            seconds = seconds.zip_with(seconds.is_not_null(), fractions)
        if seconds.null_count() > texts.null_count():
            seconds = _iso_seconds(texts, seconds)
    else:
        seconds = _strptime(texts, feature.format)
    bad = (seconds.is_null() & texts.is_not_null()).arg_true()
    if len(bad):
        promised = _ISO if feature.format is None else f"a time in the format {feature.format!r}"
        raise BadValue(f"expected {promised}, got {texts[bad[0]]!r}", int(bad[0]))
    return seconds


def _iso_seconds(texts: pl.Series, seconds: pl.Series) -> pl.Series:
    """Fill the seconds in that are still missing, until a text has no form of ISO 8601.

    Polars would guess one form for all from the first text: others would be refused or, as 01/02/2017, misread.
    """
    missing = (seconds.is_null() & texts.is_not_null()).arg_true()
    while len(missing):
        left = texts.gather(missing)
        form = next((form for form in _ISO_FORMS if _in_form(left.head(1), form)[0] is not None), None)
        if form is None:
            break
        seconds = seconds.scatter(missing, _in_form(left, form))
        missing = (seconds.is_null() & texts.is_not_null()).arg_true()
    return seconds


def _in_form(texts: pl.Series, form: str) -> pl.Series:
    return texts.str.strptime(pl.Datetime("us"), form, strict=False).dt.epoch("us") // 1_000_000


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
