"""What ranks tell each other about every batch while they make it, in the readers' threads.

A training step cannot wait for a vote: on CUDA that would stall the device. Batches are made some steps ahead, so what
all must know of one - its weights on all ranks, how long the longest part is, whether somebody wants to save or stop
after it - is exchanged there, by one small collective, and has arrived long before the step.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, distributed

from recsys.ranks.collectives import gather_rows
from recsys.ranks.world import World

__all__ = ["Exchange", "BatchInfo", "StepSignals"]


class StepSignals(NamedTuple):
    """What all ranks do after a batch."""

    save: bool = False
    """Write a checkpoint."""
    stop: bool = False
    """Write one and end: a rank was told to."""


class BatchInfo(NamedTuple):
    """What is known of a batch on all ranks together."""

    total_weight: float
    """Of its rows."""
    most_slots: int
    """Bags of one id that the largest part has."""
    orders: StepSignals


class Exchange:
    """Meets the other ranks once a batch; does nothing when alone, where orders can be asked for after each step.

    Args:
        world: of this process.
        group: a process group of the reader's threads alone; None when alone.
        wishes: asked for this rank's orders; None: it never has any.
    """

    def __init__(
        self,
        world: World,
        group: distributed.ProcessGroup | None = None,
        wishes: Callable[[], StepSignals] | None = None,
    ) -> None:
        self.world = world
        self.group = group
        self.wishes = wishes or StepSignals

    def meet(self, weight: float, slots: int) -> BatchInfo:
        """Tell the weight and slots of this rank's part of a batch, and learn those of all."""
        if self.world.size == 1:
            return BatchInfo(weight, slots, StepSignals())
        own = torch.tensor([weight, slots, *self.wishes()], dtype=torch.float64)
        parts = [torch.empty_like(own) for _ in range(self.world.size)]
        distributed.all_gather(parts, own, group=self.group)
        all_R4 = torch.stack(parts)
        most = all_R4.amax(dim=0)
        return BatchInfo(float(all_R4[:, 0].sum()), int(most[1]), StepSignals(bool(most[2]), bool(most[3])))

    def count_holders(self, key_U: Tensor) -> Tensor:
        """Return how many ranks have each of this rank's keys, (U,) int64, which are int64 and different."""
        if self.world.size == 1:
            return torch.ones_like(key_U)
        everywhere = torch.cat(gather_rows(key_U, self.group))
        found_K, holders_K = torch.unique(everywhere, return_counts=True)
        held: Tensor = holders_K[torch.searchsorted(found_K, key_U)]
        return held
