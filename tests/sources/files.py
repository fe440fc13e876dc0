"""Files that hold the same rows in several formats."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from recsys.config import DataSection
from recsys.sources.source import open_source

FRAME = pl.DataFrame(
    {"a": [1, 2, None, 4, 5], "t": ["x", "", None, 'q"uote', "a,b"], "l": [[1], [], None, [2, 3], [4]]}
)


def read(*paths: Path, columns: list[str] | None = None, rows: int = 100, **data: Any) -> pl.DataFrame:
    source = open_source(paths, DataSection(**data))
    return pl.concat(source.frames(columns or list(source.columns), rows))


WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "parquet": lambda frame, path: frame.write_parquet(path, row_group_size=2),
    "arrow": lambda frame, path: frame.write_ipc(path, compression="zstd", record_batch_size=2),
}
