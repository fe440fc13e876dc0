"""Read files with flipped bytes, as a program of its own: `python -m tests.sources.damaged FORM FLIPS`.

Exit code 0: each was read or refused by DataError. A crash in native code ends the process otherwise.
"""

import random
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from recsys.config import DataSection
from recsys.errors import DataError
from recsys.sources.source import open_source

__all__ = ["FORMS", "every_type", "write_file", "write_stream"]

_ROWS, _BATCH = 120, 50


def every_type() -> pa.Table:
    """Return a column of each type that polars knows, with nulls."""
    rng = random.Random(1)

    def column(value: Callable[[], Any], dtype: Any) -> Any:
        return pa.array([None if rng.random() < 0.1 else value() for _ in range(_ROWS)], dtype)

    def text() -> str:
        return "".join(rng.choices("abc \u00e9", k=rng.randint(0, 20)))

    def number() -> int:
        return rng.randint(0, 100)

    def numbers() -> list[int]:
        return [number() for _ in range(rng.randint(0, 5))]

    numeric = [pa.int8(), pa.int64(), pa.uint32(), pa.float16(), pa.float32(), pa.float64()]
    timed = [pa.date32(), pa.date64(), pa.time32("s"), pa.time64("us"), pa.duration("ms"), pa.timestamp("ms")]
    timed.append(pa.timestamp("ns", "+05:30"))
    lists = [pa.list_(pa.int64()), pa.large_list(pa.float32()), pa.list_(pa.timestamp("us", "UTC"))]
    columns = [column(number, dtype) for dtype in numeric + timed] + [column(numbers, dtype) for dtype in lists]
    columns += [column(text, dtype) for dtype in (pa.string(), pa.large_string())]
    columns += [column(lambda: text().encode(), dtype) for dtype in (pa.binary(), pa.large_binary())]
    columns += [column(text, pa.string()).dictionary_encode(), pa.nulls(_ROWS), column(lambda: True, pa.bool_())]
    columns.append(column(lambda: Decimal(number()) / 4, pa.decimal128(10, 2)))
    columns.append(column(lambda: date(2024, 1, 1), pa.date32()))
    columns.append(column(lambda: [text(), text()], pa.list_(pa.string())))
    columns.append(column(lambda: [1.0, 2.0], pa.list_(pa.float32(), 2)))
    columns.append(column(lambda: {"a": number(), "b": text()}, pa.struct({"a": pa.int64(), "b": pa.string()})))
    return pa.table({f"c{i}": one for i, one in enumerate(columns)})


def write_file(table: pa.Table, path: Path, compression: str | None = None) -> None:
    """Write an Arrow file of several record batches."""
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=_BATCH)


def write_stream(table: pa.Table, path: Path, compression: str | None = None) -> None:
    """Write an Arrow stream of several record batches."""
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=_BATCH)


def write_parquet(table: pa.Table, path: Path, compression: str) -> None:
    """Write a parquet file of several row groups."""
    pyarrow.parquet.write_table(table, path, compression=compression, row_group_size=_BATCH)


FORMS: Mapping[str, Callable[[pa.Table, Path], None]] = {
    "file.arrow": write_file,
    "lz4.arrow": lambda table, path: write_file(table, path, "lz4"),
    "zstd.arrow": lambda table, path: write_file(table, path, "zstd"),
    "stream.arrows": write_stream,
    "zstd.arrows": lambda table, path: write_stream(table, path, "zstd"),
    "none.parquet": lambda table, path: write_parquet(table, path, "none"),
    "snappy.parquet": lambda table, path: write_parquet(table, path, "snappy"),
    "zstd.parquet": lambda table, path: write_parquet(table, path, "zstd"),
}


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Change a few bytes, more often those near the ends, where the metadata are."""
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        near = rng.randrange(min(len(content), 3000))
        position = rng.choice([rng.randrange(len(content)), near, len(content) - 1 - near])
        damaged[position] = rng.choice([damaged[position] ^ (1 << rng.randrange(8)), rng.randrange(256), 0, 255])
    return bytes(damaged if rng.random() < 0.95 else damaged[: rng.randrange(len(damaged))])


def read_all(path: Path) -> bool:
    """Read each column alone; say whether all can be read."""
    try:
        source = open_source([path], DataSection())
        for column in source.columns:
            for frame in source.frames([column], 64):
                frame.hash_rows()
    except DataError:
        return False
    return True


def main(form: str, flips: int) -> None:
    """Damage one file in many ways."""
    rng = random.Random(form)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / form
        FORMS[form](every_type(), path)
        content = path.read_bytes()
        assert read_all(path)
        num_read = 0
        for _ in range(flips):
            path.write_bytes(flipped(content, rng))
            num_read += read_all(path)
    print(f"{flips - num_read} refused, {num_read} read")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
