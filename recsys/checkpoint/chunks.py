"""What one rank writes into a checkpoint: pieces of tensors, copied to CPU memory so that training can go on.

A piece is some rows of a table's shard, or of a tensor that all ranks hold alike, and knows its place in the whole. No
piece is larger than `PIECE_BYTES`: whoever reads some rows later, at another world size or with another sharding, holds
little more than them in memory.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributed._shard.sharded_tensor.api import ShardedTensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner, TensorWriteData, WriteItem, WriteItemType
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.ranks import World

__all__ = [
    "TensorChunk",
    "ChunkPlanner",
    "ChunkWriter",
    "size_of",
    "stage",
    "table_step",
    "tensors_of",
    "write_file",
    "write_item",
]

PIECE_BYTES = 2**26


class TensorChunk(NamedTuple):
    """A copy of a part of a tensor."""

    name: str
    offsets: tuple[int, ...]
    """Where the part begins in the whole tensor, by dimension."""
    size: torch.Size
    """Of the whole tensor."""
    values: Tensor
    """On the CPU, shared with nobody."""


def tensors_of(model: DistributedModelParallel) -> dict[str, Tensor]:
    """Return everything that the model and the optimiser of its tables consist of; changed in place, they change.

    Names are those of the state dicts, after "model." and "sparse.state.".
    """
    found = {f"model.{name}": value for name, value in model.state_dict().items()}
    for key, state in model.fused_optimizer.state_dict()["state"].items():
        found |= {f"sparse.state.{key}.{name}": value for name, value in state.items()}
    return found


def table_step(model: DistributedModelParallel) -> int:
    """Return how often the kernels of this rank's tables have run, which Adam corrects its means by; 0 without tables.

    TorchRec leaves it out of its optimiser's state; `fused_optimizer.set_optimizer_step` takes it back.
    """
    found, left = [0], [model.fused_optimizer]
    while left:
        optimizer = left.pop()
        left += [one for _, one in getattr(optimizer, "optimizers", [])]
        if hasattr(optimizer, "_emb_module"):
            found.append(int(optimizer._emb_module.iter))
    return max(found)


def size_of(value: Tensor) -> torch.Size:
    """Return the size of a whole tensor."""
    return value.metadata().size if isinstance(value, ShardedTensor) else value.size()


def stage(tensors: dict[str, Tensor], world: World) -> list[TensorChunk]:
    """Copy what this rank has to write: its shards, and its share of the pieces that all ranks hold alike.

    DIFF: torch's own stager of `async_save` refuses a ShardedTensor.
    """
    staged = []
    alike = 0
    for name, value in tensors.items():
        size = size_of(value)
        if isinstance(value, ShardedTensor):
            for shard in value.local_shards():
                parts = _cut(shard.tensor, tuple(shard.metadata.shard_offsets))
                staged += [_copied(name, offsets, size, part) for offsets, part in parts if part.numel()]
            continue
        for offsets, part in _cut(value, (0,) * value.dim()):
            if alike % world.size == world.rank:
                staged.append(_copied(name, offsets, size, part))
            alike += 1
    return staged


def _cut(tensor: Tensor, offsets: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Cut a tensor into runs of rows."""
    if tensor.dim() == 0 or len(tensor) == 0:
        yield offsets, tensor
        return
    row_bytes = max(tensor.element_size() * math.prod(tensor.shape[1:]), 1)
    rows = max(PIECE_BYTES // row_bytes, 1)
    for first in range(0, len(tensor), rows):
        yield (offsets[0] + first, *offsets[1:]), tensor[first : first + rows]


def _copied(name: str, offsets: tuple[int, ...], size: torch.Size, part: Tensor) -> TensorChunk:
    return TensorChunk(name, offsets, size, part.detach().to("cpu", copy=True))


class ChunkPlanner(DefaultSavePlanner):
    """Lets torch.distributed.checkpoint write pieces as shards."""

    def __init__(self, pieces: list[TensorChunk]) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self.pieces = {(piece.name, piece.offsets): piece for piece in pieces}

    def create_local_plan(self) -> SavePlan:
        items = [write_item(p.name, p.offsets, p.values.shape, p.size, p.values.dtype) for p in self.pieces.values()]
        self.plan = SavePlan(items)
        return self.plan

    def lookup_object(self, index: MetadataIndex) -> Tensor:
        assert index.offset is not None
        return self.pieces[index.fqn, tuple(index.offset)].values


def write_item(
    name: str, offsets: Sequence[int], sizes: Sequence[int], whole: Sequence[int], dtype: torch.dtype
) -> WriteItem:
    """Return what the planner says of a piece."""
    place = ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes))
    data = TensorWriteData(place, TensorProperties(dtype), torch.Size(whole))
    return WriteItem(MetadataIndex(name, torch.Size(offsets)), WriteItemType.SHARD, tensor_data=data)


class ChunkWriter(FileSystemWriter):
    """Writes into a folder, and raises what a full disk raises."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, per_thread_copy_ahead=0)  # more would open CUDA's first device on every rank

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Any:
        with _causes_of_errors():
            return super().write_data(plan, planner)


def write_file(path: Path, content: dict[str, Any]) -> None:
    """Write a file that `torch.load` reads, to the disk itself.

    Raises:
        OSError: the disk is full.
    """
    with path.open("wb") as file:
        with _causes_of_errors():
            torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _causes_of_errors() -> Iterator[None]:
    """Raise the OSError behind what torch.save makes of it."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
