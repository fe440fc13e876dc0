"""Write scores chunk by chunk, under a temporary name until all are there."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import polars as pl
from pyarrow import parquet

from recsys.errors import DataError
from recsys.files import atomic_path

__all__ = ["ParquetFile", "check_output"]

_OTHER_FORMATS = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl", ".arrow", ".ipc", ".feather", ".gz", ".zst"})


def check_output(out: Path, inputs: Iterable[Path]) -> None:
    """Say what is wrong with the name of a parquet file before there is anything to write to it.

    Raises:
        DataError: it is one of the inputs, a folder, or named like a file of another format.
    """
    if out.is_dir():
        raise DataError(f"{out}: must be a parquet file to write, but is a folder")
    if out.suffix.lower() in _OTHER_FORMATS:
        raise DataError(f"{out}: is written as parquet, so its name must not end in {out.suffix}")
    if out.exists() and any(out.samefile(path) for path in inputs):
        raise DataError(f"{out}: is one of the files to read, and would be overwritten")


class ParquetFile:
    """A parquet file that appears under its name only when it is complete.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "scores.parquet"
        >>> with ParquetFile(path) as file:
        ...     file.write(pl.DataFrame({"score": [0.25]}))
        >>> pl.read_parquet(path)["score"].to_list()
        [0.25]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = ExitStack()
        self._writer: parquet.ParquetWriter | None = None

    def __enter__(self) -> "ParquetFile":
        self._temporary = self._opened.enter_context(atomic_path(self.path))
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Append rows; all frames must have the same columns."""
        table = frame.to_arrow()
        if self._writer is None:
            self._writer = self._opened.enter_context(parquet.ParquetWriter(self._temporary, table.schema))
        self._writer.write_table(table.cast(self._writer.schema))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, traceback)
