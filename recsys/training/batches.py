"""The batches of a run, as Lightning iterates over them."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
from torch import Tensor

from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Position, Reader
from recsys.data.rows import Rows
from recsys.embeddings import Batch, count_rows
from recsys.ranks import Exchange, sum_over_ranks
from recsys.ranks.process_group import reader_group
from recsys.training.build import LoadedModel
from recsys.training.progress import TrainProgress
from recsys.training.task import CtrTask

__all__ = ["TrainBatches", "ValidBatches"]

COUNTED_ROWS = 2**14
"""Rows that a rank reads at a time when it counts the uses of table rows."""


class TrainBatches:
    """The training split: iterating yields the numbers of the batches that are left in the current epoch.

    The batches themselves go from the reader to the task's pipeline, which is ahead of the counting. This has no
    length, for Lightning would take that of a resumed epoch for the length of all epochs.

    Args:
        loaded: The model and its configuration.
        split: The prepared training rows.
        progress: How far the run is.
        task: Takes the batches at the start of an epoch.

    Attributes:
        find_targets: Called at the start of an epoch for what its rows learn in place of labels.
    """

    def __init__(self, loaded: LoadedModel, split: PreparedSplit, progress: TrainProgress, task: CtrTask) -> None:
        self.loaded = loaded
        self.split = split
        self.progress = progress
        self.task = task
        self.find_targets: Callable[[], npt.NDArray[np.float32] | None] = lambda: None
        self._row_counts: dict[str, Tensor] = {}
        self._counted_stage = -1
        train = loaded.resolved.config.train
        exchange = Exchange(loaded.world, reader_group(), task.poll_signals)
        self.reader: Reader[Batch] = Reader(
            split,
            loaded.resolved,
            batch_size=train.batch_size,
            collate=partial(loaded.layout.collate, row_counts=self._row_counts, exchange=exchange),
            seed=train.seed,
            world=loaded.world,
        )

    def __iter__(self) -> Iterator[int]:
        self.reader.position = Position(self.progress.epoch, self.progress.batch)
        self._count_rows()
        self.reader.targets = self.find_targets()
        self.task.start_epoch(iter(self.reader), number=self.progress.epoch + 1)
        return iter(range(self.progress.batch, self.reader.num_batches))

    def _count_rows(self) -> None:
        """Count how often each table row is used, for the penalty on rows; a new stage may give rows to other ids."""
        is_counted = self._counted_stage == self.progress.stage
        self._counted_stage = self.progress.stage
        if is_counted or not self.loaded.resolved.config.train.regularization.rows:
            return
        rows: Reader[Rows] = Reader(
            self.split,
            self.loaded.resolved,
            batch_size=COUNTED_ROWS * self.loaded.world.size,
            collate=lambda rows: rows,
            seed=None,
            world=self.loaded.world,
        )
        found = count_rows(self.loaded.layout, rows)
        self._row_counts.update({name: sum_over_ranks(uses) for name, uses in found.items()})


class ValidBatches:
    """The validation split: iterating yields all of its batches in order.

    Args:
        reader: Reads the prepared validation rows without shuffling.
    """

    def __init__(self, reader: Reader[Batch]) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return self.reader.num_batches

    def __iter__(self) -> Iterator[Batch]:
        self.reader.position = Position()
        return iter(self.reader)
