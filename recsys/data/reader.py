"""Batches from prepared Arrow files: shuffled on two levels, resumable, made in a background thread.

    record batches --order drawn from (seed, epoch)--> windows of about `window_rows` rows, one in memory at a time
        --rows drawn from (seed, epoch, window)--> Rows of `batch_size` --collate--> bounded queue --> training loop

Where each batch of an epoch begins follows from the row counts of the record batches alone, so an epoch can be resumed
at any batch without reading what came before it.

With several ranks, the batches are those of one process, and each rank yields its part of every batch, which may have
no rows. The rows that a window gives to a batch are sorted before they are partitioned, so a rank's rows lie in few
record batches, and it reads no others.

Dimension key: B rows of a batch, R rows of a rank in an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import numpy as np

from recsys.config.resolved import ResolvedConfig
from recsys.data.prefetch import prefetched
from recsys.data.prepared import PreparedSplit
from recsys.data.rows import Rows, join
from recsys.data.window import Chunk, Columns, Picked, Targets, list_chunks, load_picked
from recsys.ranks import SINGLE_PROCESS, World

__all__ = ["Position", "Reader"]

T = TypeVar("T")
Ints = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """The next batch of a reader. It means the same for any number of ranks."""

    epoch: int = 0
    batch: int = 0


class Reader(Generic[T]):
    """Batches of one split; iterating once gives one epoch, or the rest of it when `position.batch` is not 0.

    All ranks yield equally many batches.

    Args:
        split: prepared files.
        resolved: the configuration that they were prepared for.
        batch_size: rows of a batch over all ranks; only the last one of an epoch may have fewer.
        collate: turns this rank's part of a batch into what is yielded; called in the background thread.
        seed: seed of the shuffling, which depends on (seed, epoch) only; None reads the rows in order.
        prefetch: number of batches that are prepared ahead.
        window_rows: rows shuffled together, and held in memory (26 ids + 13 numbers: 160 bytes each); of several ranks,
            each holds little more than its part of them.
        world: the rank whose part is yielded: of a batch of B rows, `share(B, rank, size)` of them.

    Attributes:
        position: assign to it before iterating to resume a run; (epoch + 1, 0) after an epoch.
        num_rows: number of rows of an epoch, over all ranks.
        targets: what the rows of the split learn in place of labels, (num_rows, tasks); assign to it before iterating.

    Raises:
        DataError: a prepared file is missing or broken.
    """

    def __init__(
        self,
        split: PreparedSplit,
        resolved: ResolvedConfig,
        *,
        batch_size: int,
        collate: Callable[[Rows], T],
        seed: int | None,
        prefetch: int = 4,
        window_rows: int = 2**20,
        world: World = SINGLE_PROCESS,
    ) -> None:
        if min(batch_size, prefetch, window_rows) < 1:
            raise ValueError(f"must be at least 1: {batch_size=}, {prefetch=}, {window_rows=}")
        self.position = Position()
        self.targets: Targets | None = None
        self.batch_size = batch_size
        self.collate = collate
        self.seed = seed
        self.prefetch = prefetch
        self.window_rows = window_rows
        self.world = world
        self._iterations: WeakSet[Generator[T, None, None]] = WeakSet()  # one that nobody holds ends by itself
        self._columns = Columns.of(resolved)
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
        iteration = self._iterate()
        self._iterations.add(iteration)
        return iteration

    def close(self) -> None:
        """End the iterations that are going on: their threads, and the windows in their memory."""
        for iteration in list(self._iterations):
            iteration.close()

    def _iterate(self) -> Generator[T, None, None]:
        start = self.position
        made = (self.collate(rows) for rows in self._rows(start))
        with closing(prefetched(made, size=self.prefetch)) as batches:
            for number, batch in enumerate(batches, start.batch + 1):
                self.position = Position(start.epoch, number)
                yield batch
        self.position = Position(start.epoch + 1)

    def _rows(self, position: Position) -> Iterator[Rows]:
        """Yield this rank's rows of each batch from `position` on; a batch may take rows of several windows."""
        parts: list[Rows] = []
        start, skipped = 0, position.batch * self.batch_size
        for number, chunks in enumerate(self._windows(position.epoch)):
            stop = start + sum(chunk.num_rows for chunk in chunks)
            if stop > skipped:
                edges = self._edges(max(start, skipped), stop)
                picked = self._pick(self._order(position.epoch, number, stop - start), start, edges)
                window, picked = load_picked(chunks, self._columns, picked, self.targets)
                for (first, end), rows in zip(pairwise(edges), picked, strict=True):
                    parts.append(window.rows(rows, batch_rows=end - first))
                    if end % self.batch_size == 0 or end == self.num_rows:
                        yield join(parts)
                        parts = []
                del window  # before the next one is loaded
            start = stop

    def _edges(self, start: int, stop: int) -> list[int]:
        """Return the rows of the epoch at which the parts of batches in a window begin and end."""
        return [start, *range(start - start % self.batch_size + self.batch_size, stop, self.batch_size), stop]

    def _pick(self, order: Ints | None, start: int, edges: list[int]) -> Sequence[Picked]:
        """Return this rank's rows of each part of a batch in a window that starts at row `start` of the epoch."""
        picked: list[Picked] = []
        for first, end in pairwise(edges):
            in_batch = first % self.batch_size
            batch_rows = min(self.batch_size, self.num_rows - first + in_batch)
            lower, own = _partition(batch_rows, self.world, in_turns=order is not None)
            part = slice(in_batch, in_batch + end - first)
            begin = first - start + int(lower[part.stop] - lower[part.start])
            mine = slice(begin, begin + int(own[part.stop] - own[part.start]))
            if order is not None:
                order[first - start : end - start].sort()
            picked.append(mine if order is None else order[mine])
        return picked

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

    def _order(self, epoch: int, window: int, num_rows: int) -> Ints | None:
        if self.seed is None:
            return None
        random = np.random.default_rng([self.seed, epoch, window + 1])  # a trailing 0 would not change the seed
        return random.permutation(num_rows).astype(np.int32)  # sorted in less than half the time of int64


@lru_cache(8)
def _partition(num_rows: int, world: World, *, in_turns: bool) -> tuple[Ints, Ints]:
    """Return how many of the first 0 ... B rows of a batch go to lower ranks, and to this one: (B + 1,) each.

    Rank r gets as many as `share(B, r, size)` has. Ranks have consecutive rows, or take turns. In turns, they have
    equal shares of every part of a batch that several windows give rows to; so, parts being sorted, a rank has its
    rows in the same part of every window.
    """
    num_own = np.diff(np.arange(world.size + 1) * num_rows // world.size)
    owners = np.arange(world.size).repeat(num_own)
    if in_turns:
        owners = owners[np.concatenate([np.arange(own) for own in num_own]).argsort(kind="stable")]
    return _sums(owners < world.rank), _sums(owners == world.rank)


def _sums(values: Ints) -> Ints:
    return np.concatenate([[0], values.cumsum()])
