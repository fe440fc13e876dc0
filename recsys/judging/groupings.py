"""The slices that a column makes of rows: its values, quantiles, lengths, days, or how often they were trained on.

Dimension key: B rows, G slices.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.config.feature_types import FeatureSection
from recsys.evaluation.grouped import Groups
from recsys.features.fingerprint import NULL_KEY, KeyKind, Keys
from recsys.features.types import handlers_of
from recsys.features.values import BadColumn, BadValue, as_text, key_kind
from recsys.features.vocabulary import Vocabulary
from recsys.sources.column_types import column_type
from recsys.suggest.profile import suggested_section

__all__ = ["Grouping", "Known", "RawColumn", "groupings"]

MOST_VALUES = 50
"""Values of an id, the most frequent ones, that have a slice each; the others share one."""
FEW_NUMBERS = 31
"""Numbers of which there are so many, or fewer, have a slice each: hours and days of a month do."""
QUANTILES = 10
FREQUENCIES = {
    1: "rare: 1 to 9 times in training",
    10: "10 to 99 times in training",
    100: "100 to 999 times in training",
    1000: "frequent: 1,000 times or more in training",
}
"""Fewest occurrences in the training rows -> slice."""
NULL = "null"
_HOUR, _DAY = 3_600, 86_400
_MOST_HOURS, _MOST_DAYS = 72, 100
"""Slices of hours, or of days, that one column makes at most."""
_LAST_TIME = 253_402_300_799
"""The end of the year 9999, after which calendars say nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The meaning of a column, as a run knows it."""

    section: FeatureSection
    """A feature that reads the column."""
    key_kind: KeyKind = "int"
    """Way in which its values become keys."""
    vocabulary: Vocabulary | None = None
    """Vocabulary of the feature, which counts the training rows; None if it has none."""


@dataclass(frozen=True, slots=True, eq=False)
class RawColumn:
    """A column of raw rows, beside their predictions."""

    values: pl.Series
    """(B,) values as in the file; the lengths of lists."""
    is_lengths: bool = False
    """The values are lengths of lists."""
    known: Known | None = None

    @classmethod
    def of(cls, series: pl.Series, known: Known | None = None) -> "RawColumn":
        """Return a column of any type; of lists, and of texts that a feature reads as lists, only the lengths are kept.

        Args:
            series: values as in the file.
            known: what the run knows of the column.
        """
        if column_type(series.dtype).is_list:
            is_array = isinstance(series.dtype, pl.Array)
            return cls(series.arr.to_list().list.len() if is_array else series.list.len(), True, known)
        if known is not None and known.section.input == "lists" and (lists := _canonical(series, known)) is not None:
            return cls(lists.list.len().set(series.is_null(), None), True, known)
        if series.dtype == pl.String:  # 4 bytes a row; distinct texts are held once
            series = series.cast(pl.Categorical)
        return cls(series, False, known)

    def joined(self, others: "list[RawColumn]") -> "RawColumn":
        """Return this column with later rows of it below; files may store its numbers in different types."""
        frames = [one.values.to_frame("values") for one in (self, *others)]
        return replace(self, values=pl.concat(frames, how="vertical_relaxed").to_series().alias(self.values.name))


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Slices of one kind that a column makes."""

    column: str
    by: str
    """Kind of the slices: value, quantile, training frequency, length, hour, day, month, hour of the day."""
    groups: Groups
    names: list[str]
    """(G,)"""

    def makes_the_same(self, other: "Grouping") -> bool:
        """Say whether another column makes the same slices of the same names."""
        return (self.by, self.names) == (other.by, other.names) and np.array_equal(self.groups.code, other.groups.code)


def groupings(column: RawColumn) -> Iterator[Grouping]:
    """Yield the slices that a column makes, of one kind or of two; null is a slice of its own in each.

    Numbers make quantiles, or slices of single numbers if there are few; lists are sliced by their lengths; times by
    hour, day or month, whichever makes not too many, and by the hour of the day; all others by value. Ids that the run
    has a vocabulary of are also sliced by how often they occurred in training. What a column means says the feature
    that reads it; of a column that none reads, it is what `recsys init` would suggest.
    """
    if column.is_lengths:
        yield _by_number(column.values.cast(pl.Float64), column.values.name, "length")
        return
    known = column.known or _suggested(column.values)
    found = None if known is None else _canonical(column.values, known)
    if known is None or found is None:
        yield _by_value(column.values)
    elif known.section.reads_time:
        yield from _by_time(found, column.values.name)
    elif known.section.input == "float64":
        yield _by_number(found, column.values.name, "quantile")
    elif known.section.input == "lists":
        yield _by_number(found.list.len().cast(pl.Float64), column.values.name, "length")
    else:
        yield _by_value(column.values)
        if known.vocabulary is not None:
            by_frequency = _by_frequency(column.values, found.to_numpy(), known.vocabulary)
            if np.count_nonzero(by_frequency.groups.sums()) > 1:  # else it would be all rows, as of a flag
                yield by_frequency


def _suggested(values: pl.Series) -> Known | None:
    section = suggested_section(values)
    return None if section is None else Known(section, key_kind(values.dtype))


def _canonical(values: pl.Series, known: Known) -> pl.Series | None:
    """Return the values as the feature reads them; None if it cannot, as in a file that spells them otherwise."""
    handler = handlers_of({values.name: known.section})[values.name]
    try:
        return handler.canonicalize(values, known.key_kind)
    except (BadColumn, BadValue):
        return None


def _by_value(values: pl.Series) -> Grouping:
    if values.dtype.is_float():
        values = values.fill_nan(None)
    counted = values.alias("value").drop_nulls().value_counts()
    by_rows = counted.with_columns(text=_texts(counted["value"])).sort("count", "text", descending=[True, False])
    kept = by_rows.head(MOST_VALUES if len(by_rows) <= MOST_VALUES else MOST_VALUES - 1)
    names = kept["text"].to_list()
    others = len(by_rows) - len(kept)
    if others:
        names.append(f"others ({others:,} values)")
    numbered = kept.select("value", code=pl.int_range(len(kept), dtype=pl.UInt16))
    code = values.to_frame("value").join(numbered, on="value", how="left", maintain_order="left")["code"]
    return _grouping(values.name, "value", code.fill_null(len(kept)).to_numpy(), names, values.is_null())


def _texts(values: pl.Series) -> pl.Series:
    try:
        return as_text(values)
    except (BadValue, pl.exceptions.PolarsError):  # bytes that are no text; structs
        return pl.Series([str(value) for value in values], dtype=pl.String)


def _by_frequency(values: pl.Series, keys: Keys, vocabulary: Vocabulary) -> Grouping:
    """Slice by the count of each row's id in the training rows; values without an id were dropped, or never seen."""
    counts = vocabulary.counts.copy()
    were_dropped = counts[0] > 0
    counts[0] = 0
    code = np.searchsorted(np.array(list(FREQUENCIES)), counts.take(vocabulary.encode(keys)), side="right")
    unseen = "unseen in training, or too rare for the vocabulary" if were_dropped else "unseen in training"
    return _grouping(values.name, "training frequency", code, [unseen, *FREQUENCIES.values()], values.is_null())


def _by_number(numbers: pl.Series, name: str, by: str) -> Grouping:
    """Slice by ranges with about equally many rows, or by single numbers; a range is named by its ends."""
    values = numbers.fill_null(np.nan).to_numpy()
    is_null = np.isnan(values)
    ordered = np.sort(values[~is_null])
    distinct = ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
    if len(distinct) <= FEW_NUMBERS:
        last, by = distinct, "value" if by == "quantile" else by
    else:
        ranks = np.ceil(np.arange(1, QUANTILES + 1) / QUANTILES * len(ordered)).astype(np.int64) - 1
        last = np.unique(ordered[ranks])
    first = distinct[np.searchsorted(distinct, np.append(-np.inf, last[:-1]), side="right")] if len(last) else last
    names = [_range(low, high) for low, high in zip(first.tolist(), last.tolist(), strict=True)]
    code = np.searchsorted(last, np.where(is_null, -np.inf, values))
    return _grouping(name, by, code, names, pl.Series(is_null))


def _range(low: float, high: float) -> str:
    return _number(low) if low == high else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"


def _by_time(seconds: pl.Series, name: str) -> Iterator[Grouping]:
    """Slice by hour, day or month, the finest that is not too many slices, and by the hour of the day."""
    times = seconds.to_numpy()
    is_null = (times == NULL_KEY) | (np.abs(times) > _LAST_TIME // 2)
    known = times[~is_null]
    span = int(known.max() - known.min()) if len(known) else 0
    if span <= _MOST_HOURS * _HOUR and bool(np.any(known % _DAY)):
        yield _numbered(times // _HOUR, is_null, name, "hour", lambda hour: f"{_date(hour * _HOUR):%F %H}:00")
    elif span <= _MOST_DAYS * _DAY:
        yield _numbered(times // _DAY, is_null, name, "day", lambda day: f"{_date(day * _DAY):%F %a}")
    else:
        months = np.where(is_null, 0, times).astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
        yield _numbered(months, is_null, name, "month", lambda month: f"{1970 + month // 12}-{month % 12 + 1:02}")
    if span > _DAY and bool(np.any(known % _DAY)):
        yield _numbered(
            times % _DAY // _HOUR, is_null, name, "hour of the day", lambda hour: f"{hour:02}:00 to {hour:02}:59"
        )


def _date(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _numbered(
    numbers: Keys, is_null: npt.NDArray[np.bool_], name: str, by: str, spell: Callable[[int], str]
) -> Grouping:
    """Slice by integers of a small range."""
    low = int(numbers[~is_null].min()) if not is_null.all() else 0
    code = np.where(is_null, 0, numbers - low)
    found = np.flatnonzero(np.bincount(code[~is_null])) if not is_null.all() else np.empty(0, np.int64)
    place = np.zeros(int(code.max(initial=0)) + 1, np.int64)
    place[found] = np.arange(len(found))
    return _grouping(name, by, place[code], [spell(int(one) + low) for one in found], pl.Series(is_null))


def _grouping(name: str, by: str, code: npt.NDArray[Any], names: list[str], is_null: pl.Series) -> Grouping:
    """Return slices, and one of the nulls if there are any."""
    if is_null.any():
        code = np.where(is_null.to_numpy(), len(names), code)
        names = [*names, NULL]
    return Grouping(name, by, Groups.of(code, len(names)), names)
