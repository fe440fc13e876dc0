"""The facts that ranks exchange about every batch while they make it, in the readers' threads.

A training step cannot wait for a vote: on CUDA that would stall the device. Batches are made some steps ahead, so what
all ranks must know of one (how many unpooled lookups the largest part has, whether a rank wants to save or stop after
it) is gathered there, by one small collective, and has arrived long before the step.

Dimension key: K ranks, U distinct keys of one rank, V distinct keys of all ranks.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, distributed

from recsys.ranks.collectives import all_gather_rows
from recsys.ranks.world import World

__all__ = ["BatchInfo", "Exchange", "StepSignals"]


class StepSignals(NamedTuple):
    """Actions of all ranks after a batch."""

    save: bool = False
    """Write a checkpoint."""
    stop: bool = False
    """Write a checkpoint and end: a rank has received SIGTERM."""


class BatchInfo(NamedTuple):
    """Facts of a batch on all ranks together."""

    max_unpooled: int
    """Unpooled lookups (bags of one id) in the part that has most of them."""
    signals: StepSignals
    """Actions that at least one rank asks for."""


class Exchange:
    """Exchanges facts about each batch with the other ranks; does nothing in a single process.

    In a single process, signals can be polled after each step, and need not travel with the batches.

    Args:
        world: of this process.
        group: a process group that only the reader's thread uses; None in a single process.
        poll_signals: returns what this rank asks for; None: it never asks for anything.
    """

    def __init__(
        self,
        world: World,
        group: distributed.ProcessGroup | None = None,
        poll_signals: Callable[[], StepSignals] | None = None,
    ) -> None:
        self.world = world
        self.group = group
        self.poll_signals = poll_signals or StepSignals

    def all_gather_batch_info(self, num_unpooled: int) -> BatchInfo:
        """Return the facts about a batch on all ranks.

        Args:
            num_unpooled: unpooled lookups of this rank's part.
        """
        if self.world.size == 1:
            return BatchInfo(num_unpooled, StepSignals())
        own_3 = torch.tensor([num_unpooled, *self.poll_signals()], dtype=torch.int64)
        parts = [torch.empty_like(own_3) for _ in range(self.world.size)]
        distributed.all_gather(parts, own_3, group=self.group)
        most_unpooled, save, stop = torch.stack(parts).amax(dim=0).tolist()
        return BatchInfo(most_unpooled, StepSignals(bool(save), bool(stop)))

    def count_holders(self, key_U: Tensor) -> Tensor:
        """Return on how many ranks each of this rank's keys is found.

        Shape:
            key_U: (U,) int64, all different.
            output: (U,) int64, at least 1.
        """
        if self.world.size == 1:
            return torch.ones_like(key_U)
        everywhere = torch.cat(all_gather_rows(key_U, self.group))
        found_V, holders_V = torch.unique(everywhere, return_counts=True)
        held: Tensor = holders_V[torch.searchsorted(found_V, key_U)]
        return held
