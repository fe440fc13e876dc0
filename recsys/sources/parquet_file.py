"""Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet

from recsys.sources.raw_file import RawFile, readable

__all__ = ["ParquetFile"]


class ParquetFile(RawFile):
    """Read by slices of rows, which skips the pages before them: large row groups need no large memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with readable(path, "parquet"):
            self._hold(dict(pl.read_parquet_schema(path)))
            self._num_rows = int(pyarrow.parquet.read_metadata(path).num_rows)

    def num_rows(self) -> int | None:
        """Return the number of rows, from the file's footer."""
        return self._num_rows

    def _read(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        scan = pl.scan_parquet(self.path, glob=False, hive_partitioning=False).select(columns)
        for start in range(0, self._num_rows, rows):
            with readable(self.path, "parquet"):
                frame = scan.slice(start, rows).collect()
            yield frame
