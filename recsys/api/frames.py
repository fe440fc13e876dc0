"""Data frames in the place of files.

A frame that is trained on is written to the cache as an Arrow file that is named after a hash of its content: equal
frames are prepared once, several processes can read it, and a run can be resumed with an equal frame.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from recsys.errors import DataError
from recsys.files import draft, scratch_folder

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ArrowTable", "Data", "Frame", "Rows", "data_files", "frame_file", "is_frame", "to_polars"]


class ArrowTable(Protocol):
    """A table of Polars, pandas (2.2 or later), PyArrow, DuckDB, ...: whatever exports an Arrow stream."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the table as a capsule of the Arrow C stream interface."""
        ...


Frame = "ArrowTable | pl.LazyFrame"
"""A table in memory."""
Rows = "Frame | Mapping[str, object] | Sequence[Mapping[str, object]]"
"""A frame, a dict of columns, a dict with the values of one row (not all of them lists), or a list of such dicts."""
Data = "Frame | str | Path | Sequence[str | Path]"
"""A frame, or paths and globs of files."""


def is_frame(value: object) -> TypeGuard[Any]:
    """Return whether a value is a table in memory, without importing any library of tables."""
    return hasattr(value, "__arrow_c_stream__") or hasattr(value, "collect_schema")


def to_polars(rows: Any, *, name: str) -> "pl.DataFrame":
    """Return rows of any form as a Polars frame; the index of a pandas frame is left out.

    Args:
        rows: a frame, a dict of columns, a dict of one row, or a list of rows.
        name: of the argument, for messages.

    Raises:
        DataError: it is none of these, or its columns differ in length.

    >>> to_polars({"user": 7, "item": "i1"}, name="rows").rows()
    [(7, 'i1')]
    """
    import polars as pl

    if isinstance(rows, Mapping | Sequence) and not rows:
        raise DataError(f"{name}: has neither columns nor rows, got {rows!r}")
    try:
        if isinstance(rows, pl.DataFrame):
            return rows
        if isinstance(rows, pl.LazyFrame):
            return rows.collect()
        if type(rows).__module__.partition(".")[0] == "pandas":
            return pl.from_pandas(rows)
        if is_frame(rows):
            return pl.DataFrame(rows)
        if isinstance(rows, Mapping):
            is_row = not all(_is_column(value) for value in rows.values())
            return pl.DataFrame([rows]) if is_row else pl.DataFrame(dict(rows))
        if _is_rows(rows):
            return pl.DataFrame(list(rows), infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise DataError(f"{name}: cannot be read as a table: {str(error).splitlines()[0]}") from error
    raise DataError(f"{name}: must be a data frame, a dict of columns or a list of rows, got {type(rows).__name__}")


def _is_rows(rows: Any) -> TypeGuard[Sequence[Mapping[str, object]]]:
    return isinstance(rows, Sequence) and bool(rows) and all(isinstance(row, Mapping) for row in rows)


def _is_column(value: object) -> bool:
    if isinstance(value, str | bytes):
        return False
    return isinstance(value, Sequence) or bool(getattr(value, "ndim", hasattr(value, "__array__")))


def frame_file(frame: Any, folder: Path, *, name: str) -> Path:
    """Write a frame to `folder` unless an equal one is there, and return the absolute path of its Arrow file.

    The file's time is set to zero, so that name and size alone identify it.

    Args:
        frame: the table.
        folder: made if it is not there.
        name: of the argument, for messages.

    Raises:
        DataError: `frame` is no table.
    """
    table = to_polars(frame, name=name).rechunk()
    folder.mkdir(parents=True, exist_ok=True)
    with draft(folder / "frame.arrow") as temporary:
        table.write_ipc(temporary)
        with temporary.open("rb") as written:
            digest = hashlib.file_digest(written, lambda: hashlib.blake2b(digest_size=12)).hexdigest()
        path = folder.absolute() / f"{digest}.arrow"
        if not path.exists():
            os.utime(temporary, (0, 0))
            temporary.replace(path)
    return path


@contextmanager
def data_files(data: Any) -> Iterator[tuple[list[str], bool]]:
    """Yield the paths or globs of what is to be read, and whether it is a frame in a temporary file.

    Args:
        data: a frame, a dict of columns, a list of rows, a path or glob, or several of them.

    Raises:
        DataError: it is none of these.
    """
    if is_frame(data) or isinstance(data, Mapping) or _is_rows(data):
        with scratch_folder() as scratch:
            yield [str(frame_file(data, scratch, name="data"))], True
    else:
        paths = [data] if isinstance(data, str | Path) else list(data) if isinstance(data, Iterable) else []
        if not paths or not all(isinstance(path, str | Path) and str(path) for path in paths):
            raise DataError(
                f"data: must be a data frame, a dict of columns, or paths or globs of files, got {data!r:.60}"
            )
        yield [str(path) for path in paths], False
