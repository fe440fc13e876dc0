"""Collectives beside those of TorchRec and DistributedDataParallel. In a group of one they do nothing.

Every rank must call them in the same order. Tensors may be on a CPU or on CUDA: the group has a backend for each.

Dimension key: R rows of one rank, which may differ between ranks.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed

from recsys.errors import RecsysError
from recsys.ranks.world import current_world

__all__ = ["all_gather_rows", "broadcast", "gather_rows_to_rank_zero", "on_rank_zero", "sum_over_ranks"]

T = TypeVar("T")


def sum_over_ranks(value: Tensor, group: distributed.ProcessGroup | None = None) -> Tensor:
    """Add up a tensor of the same shape on every rank, in place, and return it."""
    if current_world().size > 1:
        distributed.all_reduce(value, group=group)
    return value


def all_gather_rows(rows: Tensor, group: distributed.ProcessGroup | None = None) -> list[Tensor]:
    """Return the rows (R, ...) of every rank on every rank, by rank."""
    if current_world().size == 1:
        return [rows]
    sizes = _gather_sizes(len(rows), rows.device, group)
    padded = _pad(rows, max(sizes))
    found = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(found, padded, group=group)
    return [part[:size] for part, size in zip(found, sizes, strict=True)]


def gather_rows_to_rank_zero(rows: Tensor) -> list[Tensor] | None:
    """Return the rows (R, ...) of every rank on rank 0, by rank, and None on the others."""
    world = current_world()
    if world.size == 1:
        return [rows]
    sizes = _gather_sizes(len(rows), rows.device)
    padded = _pad(rows, max(sizes))
    found = [torch.empty_like(padded) for _ in sizes] if world.is_rank_zero else None
    distributed.gather(padded, found, dst=0)
    return found and [part[:size] for part, size in zip(found, sizes, strict=True)]


def broadcast(value: T, source: int = 0) -> T:
    """Return on every rank the value of the rank `source`; it must be possible to pickle it."""
    if current_world().size == 1:
        return value
    held = [value]
    distributed.broadcast_object_list(held, src=source)
    return held[0]


def on_rank_zero(function: Callable[[], T]) -> T:
    """Call a function on rank 0 only, and return its result on every rank.

    Raises:
        RecsysError: what the function raises, on every rank.
    """
    refusal: RecsysError | None = None
    result: T | None = None
    if current_world().is_rank_zero:
        try:
            result = function()
        except RecsysError as error:
            refusal = error
    result, refusal = broadcast((result, refusal))
    if refusal is not None:
        raise refusal
    return cast("T", result)


def _gather_sizes(size: int, device: torch.device, group: distributed.ProcessGroup | None = None) -> list[int]:
    own = torch.tensor([size], device=device)
    sizes = [torch.empty_like(own) for _ in range(current_world().size)]
    distributed.all_gather(sizes, own, group=group)
    found: list[int] = torch.cat(sizes).tolist()  # one wait for a GPU, not one for each rank
    return found


def _pad(rows: Tensor, size: int) -> Tensor:
    padded = rows.new_zeros(size, *rows.shape[1:])
    padded[: len(rows)] = rows
    return padded
