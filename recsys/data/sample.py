"""A sample of the rows of a split, as a split of its own: no more than a record batch is in memory at a time."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys.config.resolved import ResolvedConfig
from recsys.data.prepared import PreparedSplit, SplitWriter
from recsys.data.window import Columns, list_chunks, read_chunks

__all__ = ["sample_split"]


def sample_split(
    split: PreparedSplit, resolved: ResolvedConfig, num_rows: int, out: Path, *, seed: int
) -> PreparedSplit:
    """Draw rows, each as likely as any other, and write them in their order; a split that has no more is returned.

    Args:
        split: prepared rows.
        resolved: the configuration that they were prepared for.
        num_rows: most rows of the sample.
        out: new folder for them.
        seed: the same seed draws the same rows.

    Raises:
        DataError: a prepared file is missing or broken.
    """
    if split.num_rows <= num_rows:
        return split
    chunks = list_chunks(split.files, Columns.of(resolved))
    drawn = np.random.default_rng(seed).choice(split.num_rows, num_rows, replace=False, shuffle=False)
    drawn.sort()
    ends = np.cumsum([chunk.num_rows for chunk in chunks])
    in_chunks = np.split(drawn, np.searchsorted(drawn, ends[:-1]))
    writer = None
    for batch, rows, end in zip(read_chunks(chunks), in_chunks, ends, strict=True):
        writer = writer or SplitWriter(out, batch.schema)
        if len(rows):
            writer.write(batch.take(pa.array(rows - (end - batch.num_rows))))
    assert writer is not None, "a split with rows has record batches"
    return writer.close()
