"""The interface of a raw file, and helpers of all formats. Any damage becomes a DataError that names the file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from recsys.errors import DataError

__all__ = ["RawFile", "readable", "resized", "to_frame"]


class RawFile(Protocol):
    """One file: its columns, and frames of them."""

    path: Path
    columns: dict[str, pl.DataType]

    def num_rows(self) -> int | None:
        """Return the number of rows if it can be known without reading them."""
        ...

    def frames(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """Yield frames of `rows` rows, the last one shorter."""
        ...


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


def to_frame(table: Any) -> pl.DataFrame:
    """Convert an Arrow table or record batch without copying."""
    frame = pl.from_arrow(table, rechunk=False)
    assert isinstance(frame, pl.DataFrame)
    return frame


@contextmanager
def readable(path: Path, form: str) -> Iterator[None]:
    """Turn what the libraries raise over a damaged file into a DataError."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException, OSError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: cannot be read as {form}: {first}") from error
