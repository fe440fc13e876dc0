"""Arrow IPC files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from recsys.sources.raw_file import RawFile, readable, resized, to_frame

__all__ = ["ArrowFile"]


class ArrowFile(RawFile):
    """An Arrow IPC file ("feather version 2"), memory-mapped."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._num_rows = 0
        with readable(path, "arrow"), self._open() as reader:
            self._hold(dict(to_frame(reader.schema.empty_table()).schema))
            for i in range(reader.num_record_batches):
                self._num_rows += int(reader.get_batch(i).num_rows)

    def num_rows(self) -> int | None:
        """Return the number of rows."""
        return self._num_rows

    def _read(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        yield from resized(self._parts(columns, rows), rows)

    def _parts(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """Yield at most `rows` rows at a time: a file may have one record batch that is larger than memory."""
        with readable(self.path, "arrow"), self._open() as reader:
            for i in range(reader.num_record_batches):
                batch = reader.get_batch(i).select(list(columns))
                for start in range(0, batch.num_rows, rows):
                    yield to_frame(batch.slice(start, rows))

    def _open(self) -> Any:
        return pa.ipc.open_file(pa.memory_map(str(self.path)))
