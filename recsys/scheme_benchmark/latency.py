"""The lookup time at inference: the exported form of the embeddings, for one batch, on one thread of the CPU."""

import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Reader
from recsys.embeddings import Layout
from recsys.export.torchscript import script, table_readers
from recsys.training.build import load_run
from recsys.training.strategy import table_weights

__all__ = ["LOOKUP_ROWS", "lookup_ms"]

LOOKUP_ROWS = 4096
WARM_UP = 10
"""Calls that are not timed: TorchScript compiles, and caches fill."""
MIN_SECONDS = 1.0
MIN_CALLS = 9


def lookup_ms(run: Path, split: PreparedSplit) -> float:
    """Return the median milliseconds that the best epoch of a run takes to embed `LOOKUP_ROWS` rows of a split.

    It runs on one thread, so that the time does not depend on how many cells are trained at the same time.
    """
    built = load_run(run, device=torch.device("cpu"))
    reader: Reader[dict[str, Tensor]] = Reader(
        split, built.resolved, batch_size=LOOKUP_ROWS, collate=built.layout.ids, seed=None
    )
    with closing(iter(reader)) as batches:
        ids = next(batches)
    tables = scripted_tables(built.layout, table_weights(built.model))
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return 1000 * median(time_lookups(tables, ids))
    finally:
        torch.set_num_threads(num_threads)


def scripted_tables(layout: Layout, weights: Mapping[str, Tensor]) -> list[torch.jit.ScriptModule]:
    """Return the exported forms of all schemes, as a bundle has them."""
    readers = table_readers(layout, weights)
    return [script(reader.cpu().eval().requires_grad_(requires_grad=False)) for reader in readers]


@torch.no_grad()
def time_lookups(tables: list[torch.jit.ScriptModule], ids: dict[str, Tensor]) -> list[float]:
    """Return the seconds of each timed call: at least `MIN_CALLS`, and `MIN_SECONDS` in all."""
    found: list[float] = []
    total = 0.0  # kept, since tables of a few bytes are read a million times
    for call in range(WARM_UP + 10**6):
        started = time.perf_counter()
        vectors: dict[str, Tensor] = {}
        for table in tables:
            table(ids, vectors)
        if call >= WARM_UP:
            found.append(time.perf_counter() - started)
            total += found[-1]
        if len(found) >= MIN_CALLS and total >= MIN_SECONDS:
            break
    return found
