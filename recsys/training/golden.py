"""A few raw rows that a run keeps, so that its export can be compared with it later, without the data."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from recsys.config import ResolvedConfig
from recsys.sources.find_files import find_files
from recsys.sources.source import open_source

__all__ = ["GOLDEN_ROWS", "write_golden_rows"]

GOLDEN_ROWS = 512
"""Number of rows that a run keeps, if there are as many."""


def write_golden_rows(resolved: ResolvedConfig, data_dir: Path, path: Path) -> None:
    """Write the first rows, at most `GOLDEN_ROWS`, of the first of test, validation and training files that have any.

    Args:
        resolved: The configuration, globs expanded.
        data_dir: Folder that the paths in `data` are relative to.
        path: New parquet file.
    """
    frames = (frame for frame in _frames(resolved, data_dir) if frame.height)
    next(frames, pl.DataFrame()).head(GOLDEN_ROWS).write_parquet(path)


def _frames(resolved: ResolvedConfig, data_dir: Path) -> Iterator[pl.DataFrame]:
    """Yield the rows of each split, those that a model is tested on first."""
    data = resolved.config.data
    for split in ("test", "valid", "train"):
        if getattr(data, split) is not None:
            paths = find_files(getattr(data, split), data_dir, f"data.{split}")
            yield from open_source(paths, data).frames(resolved.input_columns(), rows=GOLDEN_ROWS)
