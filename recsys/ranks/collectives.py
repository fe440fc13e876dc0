"""What ranks tell each other beside TorchRec and DistributedDataParallel. In a group of one all of it does nothing.

Every rank must call these in the same order. Tensors may be on a CPU or on CUDA: the group has a backend for each.

Dimension key: R rows of one rank, which may differ between ranks.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed

from recsys.errors import RecsysError
from recsys.ranks.world import current

__all__ = ["on_rank_zero", "broadcast", "gather_rows", "gather_rows_at_first", "sum_over_ranks"]

T = TypeVar("T")


def sum_over_ranks(value: Tensor, group: distributed.ProcessGroup | None = None) -> Tensor:
    """Add up a tensor of the same shape on every rank, in place; return it."""
    if current().size > 1:
        distributed.all_reduce(value, group=group)
    return value


def gather_rows(rows: Tensor, group: distributed.ProcessGroup | None = None) -> list[Tensor]:
    """Return the rows (R, ...) of every rank, in the order of ranks."""
    world = current()
    if world.size == 1:
        return [rows]
    sizes = _sizes(len(rows), rows.device, group)
    padded = _pad(rows, max(sizes))
    found = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(found, padded, group=group)
    return [part[:size] for part, size in zip(found, sizes, strict=True)]


def gather_rows_at_first(rows: Tensor) -> list[Tensor] | None:
    """Return the rows (R, ...) of every rank on rank 0, None on the others."""
    world = current()
    if world.size == 1:
        return [rows]
    sizes = _sizes(len(rows), rows.device)
    padded = _pad(rows, max(sizes))
    found = [torch.empty_like(padded) for _ in sizes] if world.is_rank_zero else None
    distributed.gather(padded, found, dst=0)
    return found and [part[:size] for part, size in zip(found, sizes, strict=True)]


def broadcast(value: T, source: int = 0) -> T:
    """Return the value, anything that can be pickled, that the rank `source` has."""
    if current().size == 1:
        return value
    held = [value]
    distributed.broadcast_object_list(held, src=source)
    return held[0]


def on_rank_zero(decide: Callable[[], T]) -> T:
    """Decide on rank 0, and return its decision on every rank; what it raises for the user is raised on all."""
    refusal: RecsysError | None = None
    decided: T | None = None
    if current().is_rank_zero:
        try:
            decided = decide()
        except RecsysError as error:
            refusal = error
    decided, refusal = broadcast((decided, refusal))
    if refusal is not None:
        raise refusal
    return cast("T", decided)


def _sizes(size: int, device: torch.device, group: distributed.ProcessGroup | None = None) -> list[int]:
    own = torch.tensor([size], device=device)
    sizes = [torch.empty_like(own) for _ in range(current().size)]
    distributed.all_gather(sizes, own, group=group)
    found: list[int] = torch.cat(sizes).tolist()  # one wait for a GPU, not one for each rank
    return found


def _pad(rows: Tensor, size: int) -> Tensor:
    padded = rows.new_zeros(size, *rows.shape[1:])
    padded[: len(rows)] = rows
    return padded
