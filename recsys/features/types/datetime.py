"""`type: datetime`: the time of a row -> Unix seconds -> the ids of its parts."""

import re
from datetime import UTC, datetime
from typing import ClassVar

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import DatetimeFeature, FeatureSection, Field
from recsys.features.column_profile import ColumnProfile
from recsys.features.fingerprint import NULL_KEY, KeyKind, Keys
from recsys.features.state import TransformState
from recsys.features.times import (
    NUMBER_FORMATS,
    TICKS,
    is_plausible,
    looks_like_hours,
    parses,
    part_ids,
    plausible_unit,
    to_seconds,
)
from recsys.features.types.base import FeatureHandler, Fit, FixedFit, Offer
from recsys.features.types.id import ID_NAME

__all__ = ["Datetime"]

_TIME_NAME = re.compile(r"(^|_)(time|timestamp|ts|date|datetime|day|dt|at|hour)(_|$)|[a-z](Time|Date)$")
_TEXT_FORMATS = (None, "%Y%m%d", "%d/%m/%Y", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y")


class TimesFit(FixedFit):
    """Counts the times that lie in years in which nothing is clicked: most of them do where the unit is wrong."""

    section: DatetimeFeature

    def __init__(self, name: str, section: DatetimeFeature) -> None:
        super().__init__(name, section)
        self.num_times = 0
        self.num_unlikely = 0
        self.example: int | None = None

    def add(self, values: Keys) -> None:
        """Count times, shape (rows,); `NULL_KEY` is missing."""
        times = values[values != NULL_KEY]
        is_likely = is_plausible(times)
        if self.section.format is None and self.section.unit == "s":
            is_likely &= ~looks_like_hours(times)
        unlikely = times[~is_likely]
        self.num_times += len(times)
        self._add_unlikely(len(unlikely), int(unlikely[0]) if len(unlikely) else None)

    def merge(self, other: "TimesFit") -> None:
        """Count all that `other` has counted."""
        self.num_times += other.num_times
        self._add_unlikely(other.num_unlikely, other.example)

    def finish(self, state: TransformState) -> None:
        """Write the number of ids of each part, and the first unlikely time if most are."""
        super().finish(state)
        if 2 * self.num_unlikely > self.num_times:
            state.extras[self.name] = {"unlikely_time": self.example, "share": self.num_unlikely / self.num_times}

    def _add_unlikely(self, number: int, example: int | None) -> None:
        self.num_unlikely += number
        self.example = example if self.example is None else self.example


class Datetime(FeatureHandler[DatetimeFeature]):
    """One point in time a row, of which each part is a field with ids."""

    section: ClassVar[type[FeatureSection]] = DatetimeFeature

    def canonicalize(self, series: pl.Series, kind: KeyKind) -> pl.Series:
        """Return Unix seconds, Int64; `NULL_KEY` where the time is missing."""
        del kind
        return to_seconds(series, self.feature)

    def fit(self) -> Fit:
        """Return a count of no times yet."""
        return TimesFit(self.name, self.feature)

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
        return _written_time(column) or _unix_time(column)


def _offer(keys: dict[str, object], note: str = "") -> Offer:
    return Offer({"type": "datetime", **keys}, 1.0, note, sees_repetition=True)


def _unix_time(column: ColumnProfile) -> Offer | None:
    """Offer a feature for integers between 1990 and 2100 in one of the units."""
    if column.kind != "int" or column.minimum is None or column.maximum is None or ID_NAME.search(column.name):
        return None
    unit = plausible_unit(column.minimum, column.maximum)
    if unit is None:
        return None
    low, high = column.minimum / TICKS[unit], column.maximum / TICKS[unit]
    if not _TIME_NAME.search(column.name) and high - low >= 20 * 365 * 86_400:
        return None
    keys: dict[str, object] = {"parts": ["hour", "weekday"]}
    days = f"{datetime.fromtimestamp(low, UTC).date()} to {datetime.fromtimestamp(high, UTC).date()}"
    return _offer(keys if unit == "s" else keys | {"unit": unit}, f"Unix time, {days}")


def _written_time(column: ColumnProfile) -> Offer | None:
    """Offer a feature for dates that are written out, such as 14102100 or 2014-10-21."""
    if column.kind not in ("int", "text") or not column.sample:
        return None
    if column.kind == "int" and not _TIME_NAME.search(column.name):
        return None
    for pattern in NUMBER_FORMATS if column.kind == "int" else _TEXT_FORMATS:
        if all(parses(text, pattern) for text in column.sample):
            has_hours = "%H" in pattern if pattern else any(len(text) > 10 for text in column.sample)
            keys: dict[str, object] = {"parts": ["hour", "weekday"] if has_hours else ["weekday", "day"]}
            return _offer(keys if pattern is None else keys | {"format": pattern}, "a written date")
    return None
