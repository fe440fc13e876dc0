"""A few raw rows that a run keeps, so that its export can be compared with it later, without the data."""

from pathlib import Path

import polars as pl

from recsys.config import ResolvedConfig
from recsys.sources.find_files import find_files
from recsys.sources.source import open_source

__all__ = ["GOLDEN_ROWS", "write_golden_rows"]

GOLDEN_ROWS = 512
"""Number of rows that a run keeps, if there are as many."""


def write_golden_rows(resolved: ResolvedConfig, data_dir: Path, path: Path) -> None:
    """Write the first `GOLDEN_ROWS` rows of the test files (else of the validation or training files) to `path`.

    Args:
        resolved: The configuration, globs expanded.
        data_dir: Folder that the paths in `data` are relative to.
        path: New parquet file.
    """
    data = resolved.config.data
    split = next(name for name in ("test", "valid", "train") if getattr(data, name) is not None)
    paths = find_files(getattr(data, split), data_dir, f"data.{split}")
    frames = open_source(paths, data).frames(resolved.input_columns(), rows=GOLDEN_ROWS)
    frame = next(iter(frames), pl.DataFrame())
    frame.head(GOLDEN_ROWS).write_parquet(path)
