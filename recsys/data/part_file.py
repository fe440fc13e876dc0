"""One Arrow file of prepared rows: mapped into memory, and compared with its checksums as it is read.

A file has a checksum for each record batch, and for the footer behind them. A batch is compared when it is first read,
just before it is copied, so that its bytes come from memory once. A process compares each batch once.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys.checksums import CHECKSUMS, checksum, damaged, read_checksums
from recsys.errors import DataError

__all__ = ["PartFile", "PartWriter"]

_compared: set[tuple[Path, int, int]] = set()
"""File, time of its last change, and number of each part that this process has compared."""


class PartFile:
    """A prepared file, mapped into memory: pages are read when their columns are. For use in a `with` statement.

    Args:
        path: the file.

    Raises:
        DataError: it is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            status = path.stat()
            self._buffer = pa.memory_map(str(path)).read_buffer()
            self._version = status.st_mtime_ns
            self._parts = _parts(path, status.st_mtime_ns, _time_of(path.with_name(CHECKSUMS)))
            self._check_footer()
            self.reader = pa.ipc.open_file(self._buffer)
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise self._unreadable(error) from error
        if self._parts and len(self._parts) != self.reader.num_record_batches + 1:
            raise damaged(path, self._remedy)

    def __enter__(self) -> "PartFile":
        return self

    def __exit__(self, *_: object) -> None:
        del self.reader, self._buffer

    @property
    def _remedy(self) -> str:
        return f"delete the folder {self.path.parent.parent}, and the rows are prepared anew"

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(f"{self.path}: cannot be read as a prepared Arrow file ({error}); {self._remedy}")

    def num_rows(self) -> list[int]:
        """Return the number of rows of each record batch, as its header says; its columns are not read."""
        try:
            return [self.reader.get_batch(index).num_rows for index in range(self.reader.num_record_batches)]
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(
                f"{self.path}: cannot be read as a prepared Arrow file ({error}); {self._remedy}"
            ) from error

    def batch(self, index: int) -> pa.RecordBatch:
        """Return a record batch, compared with its checksum if this process has not done so yet.

        Raises:
            DataError: it is damaged.
        """
        if self._parts:
            self._compare(index)
        return self.reader.get_batch(index)

    def _check_footer(self) -> None:
        if self._parts:
            if self._parts[-1][0] != self._buffer.size:
                raise damaged(self.path, self._remedy)
            self._compare(len(self._parts) - 1)

    def _compare(self, number: int) -> None:
        key = (self.path, self._version, number)
        if key in _compared:
            return
        start, (end, expected) = self._parts[number - 1][0] if number else 0, self._parts[number]
        if checksum(memoryview(self._buffer.slice(start, end - start))) != expected:
            raise damaged(self.path, self._remedy)
        _compared.add(key)


def _time_of(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=4096)
def _parts(path: Path, _time: int, _time_of_checksums: int) -> Sequence[tuple[int, str]]:
    """Return the end and the checksum of each part of a file; () if it has none."""
    found = read_checksums(path.parent).get(path.name, [])
    return () if isinstance(found, str) else [(end, expected) for end, expected in found]


class PartWriter:
    """Writes one Arrow file.

    Args:
        path: new file.
        schema: of the rows.

    Attributes:
        ends: where the parts of the file end that have a checksum of their own; complete after `close`.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self._file = pa.OSFile(str(path), "wb")
        self._writer: Any = pa.ipc.new_file(self._file, schema)
        self.ends: list[int] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a record batch."""
        self._writer.write_batch(batch)
        self.ends.append(self._file.tell())

    def close(self) -> None:
        """Write what stands behind the record batches."""
        self._writer.close()
        self.ends.append(self._file.tell())
        self._file.close()
