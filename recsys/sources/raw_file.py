"""The interface of a raw file, and helpers of all formats. Any damage becomes a DataError that names the file."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa

from recsys.errors import DataError
from recsys.sources.arrow_types import ForeignType
from recsys.sources.folder_keys import check_key, folder_keys
from recsys.sources.location import RowLocation
from recsys.sources.validate import check_times

__all__ = ["RawFile", "readable", "resized"]


_DAMAGE = (
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException),
    *(OSError, ValueError, OverflowError, MemoryError),
)
"""What the libraries raise over the bytes of a file. OverflowError: a size that no number of C holds."""


class RawFile(ABC):
    """One file: its columns, and frames of them. Keys of the folders above it are columns of text.

    Attributes:
        path: the file.
        held: columns that the file itself holds.
        keys: keys of the folders above it, which are columns too.
        columns: column -> type, keys included.

    Args:
        path: the file.
        null_values: texts that mean null.
    """

    def __init__(self, path: Path, null_values: Sequence[str] = ()) -> None:
        self.path = path
        self.columns: dict[str, pl.DataType] = {}
        self.held: list[str] = []
        self.keys = folder_keys(path, null_values)
        self._null_values = tuple(null_values)

    @abstractmethod
    def num_rows(self) -> int | None:
        """Return the number of rows if it can be known without reading them."""

    def frames(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """Yield frames of `rows` rows, the last one shorter.

        Raises:
            DataError: the file is damaged, or holds what cannot be read; it names row and value where it can.
        """
        for column in columns:
            if isinstance(dtype := self.columns[column], ForeignType):
                raise DataError(f"{self.path}: column {column}: {dtype} is not read; store it as another type")
        added = [column for column in columns if column not in self.held]
        held = [column for column in columns if column in self.held] or self.held[:1]
        first_row = 0
        for frame in self._read(held, rows):
            location = RowLocation(str(self.path), first_row)
            first_row += len(frame)
            check_times(frame, location)
            for column in self.keys.keys() & set(held):
                check_key(frame[column], self.keys[column], location)
            keys = [pl.lit(self.keys[column], pl.String).alias(column) for column in added]
            yield frame.with_columns(keys).select(columns) if keys else frame

    def _hold(self, columns: dict[str, pl.DataType]) -> None:
        """Set the columns that the file holds."""
        self.held = list(columns)
        self.columns = columns | {key: pl.String() for key in self.keys if key not in columns}

    def _without_null_texts(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Put null for the texts that mean it."""
        if not self._null_values:
            return frame
        texts = [
            series for series in frame if isinstance(series.dtype, pl.String | pl.Categorical | pl.Enum | pl.Binary)
        ]
        nulls = pl.Series([text.encode() for text in self._null_values])
        are_null = [_as_bytes(series).is_in(nulls.implode()) for series in texts]
        return frame.with_columns(series.set(null, None) for series, null in zip(texts, are_null, strict=True))

    @abstractmethod
    def _read(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """Yield frames of columns that the file itself holds."""


def resized(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Join and cut frames to `rows` rows each, the last one shorter."""
    held: list[pl.DataFrame] = []
    num_held = 0
    for frame in frames:
        held.append(frame)
        num_held += len(frame)
        if num_held >= rows:
            joined = pl.concat(held)
            whole = num_held - num_held % rows
            for start in range(0, whole, rows):
                yield joined.slice(start, rows)
            held, num_held = [joined.slice(whole)], num_held - whole
    if num_held:
        yield pl.concat(held)


def _as_bytes(texts: pl.Series) -> pl.Series:
    """Return texts of any type as their UTF-8 bytes."""
    return texts if texts.dtype == pl.Binary else texts.cast(pl.String).cast(pl.Binary)


@contextmanager
def readable(path: Path, form: str) -> Iterator[None]:
    """Turn what the libraries raise over a damaged file into a DataError."""
    try:
        yield
    except _DAMAGE as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: cannot be read as {form}: {first}") from error
