"""`type: datetime`: the time of a row -> Unix seconds -> the ids of its parts."""

import re
from datetime import UTC, datetime
from typing import ClassVar

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import DatetimeFeature, FeatureSection, Field
from recsys.features.column_profile import ColumnProfile
from recsys.features.fingerprint import KeyKind
from recsys.features.state import TransformState
from recsys.features.times import part_ids, to_seconds
from recsys.features.types.base import FeatureHandler, Offer
from recsys.features.types.id import ID_NAME

__all__ = ["Datetime"]

_TIME_NAME = re.compile(r"(^|_)(time|timestamp|ts|date|datetime|day|dt|at|hour)(_|$)|[a-z](Time|Date)$")
_UNIX_YEARS = (631_152_000, 4_102_444_800)  # 1990 to 2100, in seconds
_TEXT_FORMATS = (None, "%Y%m%d", "%d/%m/%Y", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y")
_NUMBER_FORMATS = ("%Y%m%d", "%Y%m%d%H", "%y%m%d%H")


class Datetime(FeatureHandler[DatetimeFeature]):
    """One point in time a row, of which each part is a field with ids."""

    section: ClassVar[type[FeatureSection]] = DatetimeFeature

    def canonicalize(self, series: pl.Series, kind: KeyKind) -> pl.Series:
        """Return Unix seconds, Int64; `NULL_KEY` where the time is missing."""
        del kind
        return to_seconds(series, self.feature)

    def encode(self, frame: pl.DataFrame, field: Field, state: TransformState) -> pa.Array:
        """Return the id of one part of each row's time."""
        del state
        return pa.array(part_ids(self.values(frame), self.feature.part_of(field.name)))

    @classmethod
    def suggest(cls, column: ColumnProfile) -> Offer | None:
        """Offer parts of the time for times, Unix times, and texts or integers in which a date is written."""
        if column.kind == "time":
            parts = ["weekday", "day"] if column.dtype == "Date" else ["hour", "weekday"]
            return _offer({"parts": parts})
        return _unix_time(column) or _written_time(column)


def _offer(keys: dict[str, object], note: str = "") -> Offer:
    return Offer({"type": "datetime", **keys}, 1.0, note, sees_repetition=True)


def _unix_time(column: ColumnProfile) -> Offer | None:
    """Offer a feature for integers between 1990 and 2100 in seconds, milli- or microseconds."""
    if column.kind != "int" or column.minimum is None or column.maximum is None or ID_NAME.search(column.name):
        return None
    for unit, per_second in (("s", 1), ("ms", 1_000), ("us", 1_000_000)):
        low, high = column.minimum / per_second, column.maximum / per_second
        is_inside = _UNIX_YEARS[0] <= low and high <= _UNIX_YEARS[1]
        if is_inside and (_TIME_NAME.search(column.name) or high - low < 20 * 365 * 86_400):
            keys: dict[str, object] = {"parts": ["hour", "weekday"]}
            days = f"{datetime.fromtimestamp(low, UTC).date()} to {datetime.fromtimestamp(high, UTC).date()}"
            return _offer(keys if unit == "s" else keys | {"unit": unit}, f"Unix time, {days}")
    return None


def _written_time(column: ColumnProfile) -> Offer | None:
    """Offer a feature for dates that are written out, such as 14102100 or 2014-10-21."""
    if column.kind not in ("int", "text") or not column.sample:
        return None
    if column.kind == "int" and not _TIME_NAME.search(column.name):
        return None
    for pattern in _NUMBER_FORMATS if column.kind == "int" else _TEXT_FORMATS:
        if all(_parses(text, pattern) for text in column.sample):
            has_hours = "%H" in pattern if pattern else any(len(text) > 10 for text in column.sample)
            keys: dict[str, object] = {"parts": ["hour", "weekday"] if has_hours else ["weekday", "day"]}
            return _offer(keys if pattern is None else keys | {"format": pattern}, "a written date")
    return None


def _parses(text: str, pattern: str | None) -> bool:
    """Say whether a text is a date between 1990 and 2100 in this form; None is ISO 8601 with dashes."""
    try:
        if pattern is None:
            return text[4:5] == "-" and 1990 <= datetime.fromisoformat(text).year < 2100
        return 1990 <= datetime.strptime(text, pattern).year < 2100
    except ValueError:
        return False
