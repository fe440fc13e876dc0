"""Count the ids of the rows of prepared data, from the offsets of lists alone."""

from __future__ import annotations

import numpy as np

from recsys.config.resolved import ResolvedConfig
from recsys.data.prepared import PreparedSplit
from recsys.data.window import Columns, list_chunks, read_chunks

__all__ = ["mean_lengths"]

_SAMPLED = 64
"""Record batches, spread out evenly: rows may be sorted by time, and histories grow."""


def mean_lengths(split: PreparedSplit, resolved: ResolvedConfig) -> dict[str, float]:
    """Return the mean number of ids a row of each field with ids: 1.0 for single ids, 0.0 for lists without rows.

    Raises:
        DataError: a prepared file is missing or broken.
    """
    columns = Columns.of(resolved)
    chunks = list_chunks(split.files, columns)
    indices = np.linspace(0, len(chunks) - 1, num=min(len(chunks), _SAMPLED)).round().astype(int)
    num_ids = dict.fromkeys(columns.lists, 0)
    num_rows = 0
    for batch in read_chunks([chunks[index] for index in indices]):
        num_rows += batch.num_rows
        for name in columns.lists:
            num_ids[name] += len(batch.column(name).flatten())  # nothing is copied, so nothing is read
    means = dict.fromkeys(columns.ids + columns.keys, 1.0)
    return means | {name: count / max(1, num_rows) for name, count in num_ids.items()}
