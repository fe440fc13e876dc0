"""Batches from prepared Arrow files: shuffled on two levels, resumable, made in a background thread.

    record batches --order drawn from (seed, epoch)--> windows of about `window_rows` rows, one in memory at a time
        --rows drawn from (seed, epoch, window)--> Rows of `batch_size` --collate--> bounded queue --> training loop

Every place in an epoch is known from the row counts of the record batches alone, so an epoch can be taken up at any
batch without reading what came before it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from recsys.config.plan import Plan
from recsys.data.prefetch import prefetched
from recsys.data.prepared import PreparedSplit
from recsys.data.rows import Rows, join
from recsys.data.window import Chunk, Columns, list_chunks, load_window

__all__ = ["Position", "Reader"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Position:
    """The next batch to be handed out."""

    epoch: int = 0
    batch: int = 0


class Reader(Generic[T]):
    """Batches of one split; iterating once gives one epoch, or the rest of it when `position.batch` is not 0.

    Args:
        split: prepared files.
        plan: fields of the files.
        batch_size: rows of a batch; only the last one of an epoch may have fewer.
        collate: makes what is handed out, in the background thread.
        seed: of the shuffling, which depends on (seed, epoch) only; None reads the rows in order.
        prefetch: batches made ahead.
        window_rows: rows shuffled together, and held in memory (26 ids + 13 numbers: 160 bytes each).

    Attributes:
        position: assign to it before iterating to take up an earlier run; (epoch + 1, 0) after an epoch.
        num_rows: rows of an epoch.

    Raises:
        DataError: a prepared file is missing or broken.
    """

    def __init__(
        self,
        split: PreparedSplit,
        plan: Plan,
        *,
        batch_size: int,
        collate: Callable[[Rows], T],
        seed: int | None,
        prefetch: int = 4,
        window_rows: int = 2**20,
    ) -> None:
        if min(batch_size, prefetch, window_rows) < 1:
            raise ValueError(f"must be at least 1: {batch_size=}, {prefetch=}, {window_rows=}")
        self.position = Position()
        self.batch_size = batch_size
        self.collate = collate
        self.seed = seed
        self.prefetch = prefetch
        self.window_rows = window_rows
        self._columns = Columns.of(plan)
        self._chunks = list_chunks(split.files, self._columns)
        self.num_rows = sum(chunk.num_rows for chunk in self._chunks)

    def __len__(self) -> int:
        """Return the number of batches left in the current epoch."""
        return max(0, self.num_batches - self.position.batch)

    @property
    def num_batches(self) -> int:
        """Batches of a whole epoch."""
        return -(-self.num_rows // self.batch_size)

    def __iter__(self) -> Generator[T, None, None]:
        start = self.position
        made = (self.collate(rows) for rows in self._rows(start))
        with closing(prefetched(made, size=self.prefetch)) as batches:
            for number, batch in enumerate(batches, start.batch + 1):
                self.position = Position(start.epoch, number)
                yield batch
        self.position = Position(start.epoch + 1)

    def _rows(self, position: Position) -> Iterator[Rows]:
        """Yield the rows of each batch from `position` on; a batch may take rows of several windows."""
        skipped = position.batch * self.batch_size
        parts: list[Rows] = []
        wanted = self.batch_size
        for number, chunks in enumerate(self._windows(position.epoch)):
            num_rows = sum(chunk.num_rows for chunk in chunks)
            if skipped >= num_rows:
                skipped -= num_rows
                continue
            window = load_window(chunks, self._columns)
            order = self._order(position.epoch, number, num_rows)
            start, skipped = skipped, 0
            while start < num_rows:
                stop = min(start + wanted, num_rows)
                parts.append(window.rows(slice(start, stop) if order is None else order[start:stop]))
                wanted -= stop - start
                start = stop
                if wanted == 0:
                    yield join(parts)
                    parts, wanted = [], self.batch_size
            del window  # before the next one is loaded
        if parts:
            yield join(parts)

    def _windows(self, epoch: int) -> Iterator[list[Chunk]]:
        """Yield the record batches of each window: as many as it takes to reach `window_rows`."""
        order = np.arange(len(self._chunks))
        if self.seed is not None:
            np.random.default_rng([self.seed, epoch]).shuffle(order)
        window: list[Chunk] = []
        for index in order:
            window.append(self._chunks[index])
            if sum(chunk.num_rows for chunk in window) >= self.window_rows:
                yield window
                window = []
        if window:
            yield window

    def _order(self, epoch: int, window: int, num_rows: int) -> Tensor | None:
        if self.seed is None:
            return None
        random = np.random.default_rng([self.seed, epoch, window + 1])  # a trailing 0 would not change the seed
        return torch.from_numpy(random.permutation(num_rows))
