"""Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from recsys.errors import DataError
from recsys.sources.arrow_types import polars_types, to_frame
from recsys.sources.location import RowLocation
from recsys.sources.raw_file import RawFile, readable
from recsys.sources.validate import validated

__all__ = ["ParquetFile"]

_BUFFER_BYTES = 2**20


class ParquetFile(RawFile):
    """Read by Arrow, whose memory does not grow with row groups, and validated.

    Over some damaged pages polars asks for more memory than there is, which ends the process. It reads, by slices of
    rows, the files that Arrow cannot read: with integers of 128 bits, or with dictionaries inside lists.
    """

    def __init__(self, path: Path, null_values: Sequence[str] = ()) -> None:
        super().__init__(path, null_values)
        with readable(path, "parquet"):
            schema = _arrow_schema(path)
            self._is_arrow = schema is not None
            self._hold(polars_types(schema, path) if self._is_arrow else dict(pl.read_parquet_schema(path)))
            self._num_rows = self._footer_rows()

    def num_rows(self) -> int | None:
        """Return the number of rows, from the file's footer."""
        return self._num_rows

    def _read(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        num_rows = 0
        for frame in self._batches(columns, rows) if self._is_arrow else self._slices(columns, rows):
            num_rows += len(frame)
            yield self._without_null_texts(frame)
        if num_rows != self._num_rows:
            problem = f"the footer says that there are {self._num_rows} rows, {num_rows} are found"
            raise DataError(f"{self.path}: cannot be read as parquet: {problem}")

    def _batches(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        first_row = 0
        with readable(self.path, "parquet"), pyarrow.parquet.ParquetFile(self.path, buffer_size=_BUFFER_BYTES) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(columns)):
                frame = to_frame(validated(batch.select(list(columns)), RowLocation(str(self.path), first_row)))
                first_row += len(frame)
                yield frame

    def _slices(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        scan = self._scan().select(columns)
        for start in range(0, self._num_rows, rows):
            with readable(self.path, "parquet"):
                frame = scan.slice(start, rows).collect()
            if frame.is_empty():
                return
            yield frame

    def _footer_rows(self) -> int:
        if self._is_arrow:
            return int(pyarrow.parquet.read_metadata(self.path).num_rows)
        return int(self._scan().select(pl.len()).collect().item())

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.path, glob=False, hive_partitioning=False)


def _arrow_schema(path: Path) -> Any:
    """Return the schema, None if Arrow cannot read one of its types."""
    try:
        schema = pyarrow.parquet.read_schema(path)
    except pa.ArrowNotImplementedError:
        return None
    return None if any(_holds_dictionary(entry) for dtype in schema.types for entry in _entries(dtype)) else schema


def _holds_dictionary(dtype: Any) -> bool:
    return pa.types.is_dictionary(dtype) or any(map(_holds_dictionary, _entries(dtype)))


def _entries(dtype: Any) -> list[Any]:
    return [dtype.field(i).type for i in range(dtype.num_fields)] if pa.types.is_nested(dtype) else []
