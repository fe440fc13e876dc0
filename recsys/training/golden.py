"""A few raw rows that a run keeps, so that its export can be held against it later, without the data."""

from pathlib import Path

import polars as pl

from recsys.config import ResolvedConfig
from recsys.sources.source import find_files, open_source

__all__ = ["GOLDEN_ROWS", "write_golden_rows"]

GOLDEN_ROWS = 512


def write_golden_rows(resolved: ResolvedConfig, data_dir: Path, path: Path) -> None:
    """Copy the first rows of the test files, or the next best there are, into the run folder."""
    data = resolved.config.data
    split = next(name for name in ("test", "valid", "train") if getattr(data, name) is not None)
    paths = find_files(getattr(data, split), data_dir, f"data.{split}")
    frames = open_source(paths, data).frames(resolved.input_columns(), rows=GOLDEN_ROWS)
    frame = next(iter(frames), pl.DataFrame())
    frame.head(GOLDEN_ROWS).write_parquet(path)
