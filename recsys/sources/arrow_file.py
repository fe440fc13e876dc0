"""Arrow IPC files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from recsys.errors import DataError
from recsys.sources.arrow_types import polars_types, to_frame
from recsys.sources.location import RowLocation
from recsys.sources.raw_file import RawFile, readable, resized
from recsys.sources.text_stream import compression_of
from recsys.sources.validate import validated

__all__ = ["ArrowFile"]

_FILE = b"ARROW1"
_FEATHER_1 = b"FEA1"
_UNKNOWN_BITS = 2**20


class ArrowFile(RawFile):
    """An Arrow IPC file ("feather version 2") or stream, memory-mapped.

    Only the columns that are asked for are read, and each is validated before native code trusts its offsets.
    """

    def __init__(self, path: Path, null_values: Sequence[str] = ()) -> None:
        super().__init__(path, null_values)
        self._is_stream = _is_stream(path)
        with readable(path, "arrow"), self._open() as reader:
            self._schema = reader.schema
            self._hold(polars_types(self._schema, path))
        self._num_rows = None if self._is_stream else sum(batch.num_rows for batch in self._batches(self._smallest()))

    def num_rows(self) -> int | None:
        """Return the number of rows; None for a stream, which only reading would tell."""
        return self._num_rows

    def _read(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        yield from map(self._without_null_texts, resized(self._parts(columns, rows), rows))

    def _parts(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """Yield at most `rows` rows at a time: a file may have one record batch that is larger than memory."""
        first_row = 0
        for batch in self._batches(columns):
            with readable(self.path, "arrow"):
                valid = validated(batch.select(list(columns)), RowLocation(str(self.path), first_row))
                frames = [to_frame(valid.slice(start, rows)) for start in range(0, len(batch), rows)]
            yield from frames
            first_row += len(batch)

    def _batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield the record batches with these columns alone, in the order of the file."""
        with readable(self.path, "arrow"), self._open(columns) as reader:
            if self._is_stream:
                yield from reader
            else:
                yield from (reader.get_batch(i) for i in range(reader.num_record_batches))

    def _open(self, columns: Sequence[str] = ()) -> Any:
        fields = [self._schema.get_field_index(name) for name in columns]
        opened = pa.ipc.open_stream if self._is_stream else pa.ipc.open_file
        return opened(pa.memory_map(str(self.path)), options=pa.ipc.IpcReadOptions(included_fields=fields))

    def _smallest(self) -> list[str]:
        """Return the column that is the cheapest to read: others may be compressed."""
        sizes = {field.name: _bits(field.type) for field in self._schema}
        return [min(sizes, key=lambda name: sizes[name])] if sizes else []


def _is_stream(path: Path) -> bool:
    with readable(path, "arrow"), path.open("rb") as file:
        start = file.read(16)
    if start.startswith(_FEATHER_1):
        raise DataError(f"{path}: cannot be read as arrow: it is a Feather file of version 1; write version 2")
    if packed := compression_of(start):
        raise DataError(f"{path}: cannot be read as arrow: it is packed by {packed} as a whole; unpack it")
    return not start.startswith(_FILE)


def _bits(dtype: Any) -> int:
    try:
        return int(dtype.bit_width) or _UNKNOWN_BITS
    except ValueError:  # a type of no fixed width
        return _UNKNOWN_BITS
