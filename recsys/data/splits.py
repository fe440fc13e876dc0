"""Cutting one set of rows into training, validation and test rows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.feature_types import DatetimeFeature
from recsys.config.resolved import ResolvedConfig
from recsys.config.run import Config, DataSection, FractionSplit, TimeSplit
from recsys.data.targets import binary_labels
from recsys.errors import DataError
from recsys.features.fingerprint import NULL_KEY, Keys, mix64
from recsys.features.quantiles import OrderedCounts, to_ordered
from recsys.features.times import calendar_time, to_seconds
from recsys.features.types import handlers_of
from recsys.features.values import BadColumn, BadValue, to_numbers
from recsys.progress import OnProgress, no_progress
from recsys.sources.column_types import column_type
from recsys.sources.location import RowLocation
from recsys.sources.source import RowChunk, Source

__all__ = [
    "LEFT_OUT",
    "SPLITS",
    "Cut",
    "CutShares",
    "Downsampled",
    "NoCut",
    "Numbered",
    "RandomCut",
    "SplitName",
    "TimeCut",
    "cut_shares",
    "exact_order_statistics",
    "make_cut",
    "split_seed",
    "time_keys",
]

SplitName = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")
Numbered = NDArray[np.uint8]
LEFT_OUT = len(SPLITS)
"""Number, in place of an index into `SPLITS`, of rows that are in no split."""
_NEGATIVES = 0x6E656761746976
"""Seed by which negatives are left out: of no run, so that it has nothing to do with where rows of a split go."""


class Cut(Protocol):
    """Says for each row to which of `SPLITS` it goes."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Raw columns that it reads."""
        ...

    def number(self, chunk: RowChunk) -> Numbered | None:
        """Return (rows,) indices into `SPLITS`, or `LEFT_OUT`; None if all rows are for training."""
        ...


class NoCut:
    """All rows are for training."""

    columns: ClassVar[tuple[str, ...]] = ()

    def number(self, chunk: RowChunk) -> Numbered | None:  # noqa: ARG002 - part of the protocol
        """Return None."""
        return None


@dataclass(frozen=True)
class RandomCut:
    """Assigns rows by a hash of the seed and the row's number, so that it does not depend on how they are read."""

    columns: ClassVar[tuple[str, ...]] = ()
    seed: int
    valid: float
    test: float

    def number(self, chunk: RowChunk) -> Numbered | None:
        """Return the split of each row."""
        drawn = _uniform(chunk, self.seed)
        return np.where(drawn < self.test, 2, np.where(drawn < self.test + self.valid, 1, 0)).astype(np.uint8)


def _uniform(chunk: RowChunk, seed: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each row, which follows from the seed and the row's place in the data alone."""
    rows = np.arange(chunk.first_row, chunk.first_row + len(chunk.frame), dtype=np.int64)
    mixed = mix64(rows ^ mix64(np.array([seed], dtype=np.int64)))
    drawn: NDArray[np.float64] = np.multiply(mixed.view(np.uint64) >> np.uint64(11), 2.0**-53, dtype=np.float64)
    return drawn


@dataclass(frozen=True)
class TimeCut:
    """Rows up to and including `last_train` are for training, later ones up to `last_valid` for validation."""

    column: str
    resolved: ResolvedConfig
    last_train: int
    last_valid: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of the times."""
        return (self.column,)

    def number(self, chunk: RowChunk) -> Numbered | None:
        """Return the split of each row."""
        times = time_keys(chunk.frame[self.column], self.resolved, chunk.location)
        return (times > self.last_train).astype(np.uint8) + (times > self.last_valid).astype(np.uint8)

    @classmethod
    def at_shares(
        cls, chunks: Callable[[], Iterable[Keys]], column: str, resolved: ResolvedConfig, *, valid: float, test: float
    ) -> "TimeCut":
        """Find the times that leave the given shares of the rows after them; equal times go to the earlier split.

        Raises:
            DataError: so many rows have the same time that nothing is left for validation or test.
        """
        shares = [1 - valid - test, 1 - test]
        last_train, last_valid, last = exact_order_statistics(chunks, [*shares, 1.0])
        for name, share, start, end in [("valid", valid, last_train, last_valid), ("test", test, last_valid, last)]:
            if share > 0 and start >= end:
                raise DataError(
                    f"data.split: no rows are left for {name}: too many rows of column {column} have the same time"
                )
        return cls(column, resolved, last_train, last_valid)


@dataclass(frozen=True)
class Downsampled:
    """Another cut, of whose training rows a share of the negatives is left.

    A hash of the row's number within the data decides: the same rows are left however they are read, by however many
    ranks, and whatever the seed of the run is, so that runs with several seeds learn from the same rows.
    """

    cut: Cut
    rate: float
    """Share of the negatives that is left."""
    label: str
    """Column of the label."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the other cut reads, and the label."""
        return (*self.cut.columns, self.label)

    def number(self, chunk: RowChunk) -> Numbered:
        """Return the split of each row, or `LEFT_OUT`.

        Raises:
            DataError: a label is neither 0 nor 1.
        """
        why = ", since data.negative_rate leaves out rows of label 0"
        labels = binary_labels(chunk.frame[self.label], chunk.location, why)
        given = self.cut.number(chunk)
        numbers = np.zeros(len(labels), np.uint8) if given is None else given.copy()
        numbers[(numbers == 0) & (labels == 0) & (_uniform(chunk, _NEGATIVES) >= self.rate)] = LEFT_OUT
        return numbers


class CutShares(NamedTuple):
    """Shares of the training files' rows."""

    valid: float
    test: float


def cut_shares(data: DataSection) -> tuple[FractionSplit | TimeSplit | None, CutShares]:
    """Return how the training files are cut, and which shares of their rows go to other splits.

    They are not cut, which is None, if there are files of validation rows.
    """
    split = None if data.valid is not None else data.split or FractionSplit()
    return split, CutShares(0.0, 0.0) if split is None else CutShares(split.valid, split.test * (data.test is None))


def split_seed(config: Config, split: FractionSplit) -> int:
    """Return the seed by which rows are dealt to the splits."""
    return config.train.seed if split.seed is None else split.seed


def make_cut(
    resolved: ResolvedConfig,
    split: FractionSplit | TimeSplit | None,
    shares: CutShares,
    source: Source,
    on_progress: OnProgress = no_progress,
) -> Cut:
    """Return the cut of the training files, without the negatives that are left out.

    If they are cut by time, that column of all their rows is read.

    Args:
        resolved: the configuration.
        split: the way in which they are cut, as `cut_shares` has it.
        shares: the shares that go to other splits.
        source: the training files.
        on_progress: called as times are read.
    """
    cut = _cut_in_splits(resolved, split, shares, source, on_progress)
    rate = resolved.config.data.negative_rate
    if rate is None:
        return cut
    (label,) = resolved.config.labels.values()  # `recsys.config.check` refuses several
    return Downsampled(cut, rate, label)


def _cut_in_splits(
    resolved: ResolvedConfig,
    split: FractionSplit | TimeSplit | None,
    shares: CutShares,
    source: Source,
    on_progress: OnProgress,
) -> Cut:
    if split is None:
        return NoCut()
    if isinstance(split, FractionSplit):
        return RandomCut(split_seed(resolved.config, split), *shares)
    column = split.column

    def times() -> Iterator[Keys]:
        for chunk in source.chunks([column]):
            yield time_keys(chunk.frame[column], resolved, chunk.location)
            on_progress("time split", chunk.first_row + len(chunk.frame), source.num_rows())

    return TimeCut.at_shares(times, column, resolved, valid=shares.valid, test=shares.test)


def time_keys(series: pl.Series, resolved: ResolvedConfig, location: RowLocation) -> Keys:
    """Return integers in the order of the times in a column.

    A column that a feature of times reads, used or not, has that feature's format and unit. Otherwise any numbers,
    dates, datetimes or ISO 8601 texts will do.

    Raises:
        DataError: a time is missing or cannot be read.
    """
    readers = {n: f for n, f in resolved.config.features.items() if f.reads_time and f.column_of(n) == series.name}
    try:
        if readers:
            keys = next(iter(handlers_of(readers).values())).canonicalize(series, "int").to_numpy()
        else:
            keys = _time_keys(series)
    except BadColumn as error:
        raise location.column(series.name, str(error)) from error
    except BadValue as error:
        raise location.value(series.name, str(error), error.position) from error
    missing = np.flatnonzero(keys == NULL_KEY)
    if len(missing):
        raise location.value(series.name, "expected a time to split by, got null", int(missing[0]))
    return keys


def _time_keys(series: pl.Series) -> Keys:
    if column_type(series.dtype).family == "time" and not series.dtype.is_nested():
        return calendar_time(series, "us").fill_null(NULL_KEY).to_numpy()
    try:  # integers too: one file may hold what another holds as floats
        numbers = to_numbers(series).to_numpy()
    except BadValue:
        return to_seconds(series, DatetimeFeature(type="datetime")).to_numpy()
    return np.where(np.isnan(numbers), NULL_KEY, to_ordered(numbers))


def exact_order_statistics(
    chunks: Callable[[], Iterable[Keys]], shares: Iterable[float], limit: int = 2**20
) -> list[int]:
    """Find exact quantiles of integers that need not fit in memory.

    The first pass counts cells of neighbouring values. A cell that holds a wanted rank and more than one value is
    counted again alone, until single values are left.

    Args:
        chunks: starts a pass over all values.
        shares: for each result, the share of the values at or below it, in (0, 1].
        limit: cells counted at a time.

    Returns:
        For each share the value of rank ceil(share * number of values), counted from 1.
    """
    counted = OrderedCounts(limit)
    for chunk in chunks():
        counted.add(chunk)
    total = counted.cells.total
    if total == 0:
        raise DataError("data.train: no rows to split")
    ranks = [min(max(int(np.ceil(round(share * total, 6))), 1), total) - 1 for share in shares]
    return [_refined(chunks, counted, rank, limit) for rank in ranks]


def _refined(chunks: Callable[[], Iterable[Keys]], counted: OrderedCounts, rank: int, limit: int) -> int:
    while True:
        cell = int(counted.cells_at(np.array([rank]))[0])
        if counted.dropped == 0:
            return cell
        rank -= counted.below(cell)
        inside, bits = OrderedCounts(limit), counted.dropped
        for chunk in chunks():
            inside.add(chunk[chunk >> bits == cell])
        counted = inside
