"""The part of a checkpoint that one rank writes: chunks of tensors, copied to CPU memory so that training can go on.

A chunk is a run of rows of a table's shard, or of a tensor that all ranks hold alike, with its offsets in the whole
tensor. No chunk is larger than `CHUNK_BYTES`: a rank that later reads some rows, at another world size or with another
sharding plan, holds little more than those rows in memory.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.distributed._shard.sharded_tensor.api import ShardedTensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import SavePlan, TensorWriteData, WriteItem, WriteItemType

from recsys.ranks import World

if TYPE_CHECKING:
    from torchrec.distributed.model_parallel import DistributedModelParallel  # `recsys checkpoint` needs no torchrec

__all__ = [
    "TensorChunk",
    "ChunkPlanner",
    "size_of",
    "snapshot",
    "table_step",
    "tensors_of",
    "write_file",
    "write_item",
]

CHUNK_BYTES = 2**26
"""Largest size of a chunk, unless one row is larger."""


class TensorChunk(NamedTuple):
    """A copy of a part of a tensor."""

    name: str
    offsets: tuple[int, ...]
    """Index of the chunk's first value in the whole tensor, by dimension."""
    size: torch.Size
    """Shape of the whole tensor."""
    values: Tensor
    """The values, on the CPU; they share no memory with the tensor."""


def tensors_of(model: "DistributedModelParallel") -> dict[str, Tensor]:
    """Return all tensors of the model and of the tables' fused optimizer, which share memory with them.

    Returns:
        Names are those of the state dicts, prefixed with "model." and "sparse.state.".
    """
    found = {f"model.{name}": value for name, value in model.state_dict().items()}
    for key, state in model.fused_optimizer.state_dict()["state"].items():
        found |= {f"sparse.state.{key}.{name}": value for name, value in state.items()}
    return found


def table_step(model: "DistributedModelParallel") -> int:
    """Return the number of steps that the kernels of this rank's tables have made; 0 without tables.

    Adam corrects the bias of its means with it. TorchRec leaves it out of the state of its optimizer;
    `fused_optimizer.set_optimizer_step` sets it again.
    """
    found, left = [0], [model.fused_optimizer]
    while left:
        optimizer = left.pop()
        left += [one for _, one in getattr(optimizer, "optimizers", [])]
        if hasattr(optimizer, "_emb_module"):
            found.append(int(optimizer._emb_module.iter))
    return max(found)


def size_of(value: Tensor) -> torch.Size:
    """Return the shape of a whole tensor, of which this rank may hold a shard."""
    return value.metadata().size if isinstance(value, ShardedTensor) else value.size()


def snapshot(tensors: dict[str, Tensor], world: World) -> list[TensorChunk]:
    """Copy what this rank has to write: its shards, and its share of the chunks that all ranks hold alike.

    DIFF: torch's own stager of `async_save` refuses a ShardedTensor.

    Args:
        tensors: Name -> tensor, as from `tensors_of`.
        world: This rank, and how many there are.
    """
    copies = []
    num_replicated = 0
    for name, value in tensors.items():
        size = size_of(value)
        if isinstance(value, ShardedTensor):
            for shard in value.local_shards():
                parts = _split_rows(shard.tensor, tuple(shard.metadata.shard_offsets))
                copies += [_copy(name, offsets, size, part) for offsets, part in parts if part.numel()]
            continue
        for offsets, part in _split_rows(value, (0,) * value.dim()):
            if num_replicated % world.size == world.rank:
                copies.append(_copy(name, offsets, size, part))
            num_replicated += 1
    return copies


def _split_rows(tensor: Tensor, offsets: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Split a tensor into runs of rows of `CHUNK_BYTES` at most, each with its offsets in the whole tensor."""
    if tensor.dim() == 0 or len(tensor) == 0:
        yield offsets, tensor
        return
    row_bytes = max(tensor.element_size() * math.prod(tensor.shape[1:]), 1)
    rows = max(CHUNK_BYTES // row_bytes, 1)
    for first in range(0, len(tensor), rows):
        yield (offsets[0] + first, *offsets[1:]), tensor[first : first + rows]


def _copy(name: str, offsets: tuple[int, ...], size: torch.Size, part: Tensor) -> TensorChunk:
    return TensorChunk(name, offsets, size, part.detach().to("cpu", copy=True))


class ChunkPlanner(DefaultSavePlanner):
    """Makes torch.distributed.checkpoint write chunks as shards of their tensors."""

    def __init__(self, chunks: list[TensorChunk]) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self.chunks = {(chunk.name, chunk.offsets): chunk for chunk in chunks}

    def create_local_plan(self) -> SavePlan:
        items = [write_item(c.name, c.offsets, c.values.shape, c.size, c.values.dtype) for c in self.chunks.values()]
        self.plan = SavePlan(items)
        return self.plan

    def lookup_object(self, index: MetadataIndex) -> Tensor:
        assert index.offset is not None
        return self.chunks[index.fqn, tuple(index.offset)].values


def write_item(
    name: str, offsets: Sequence[int], sizes: Sequence[int], whole: Sequence[int], dtype: torch.dtype
) -> WriteItem:
    """Return the planner's item for one chunk: its offsets and sizes in a tensor of the shape `whole`."""
    chunk = ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes))
    data = TensorWriteData(chunk, TensorProperties(dtype), torch.Size(whole))
    return WriteItem(MetadataIndex(name, torch.Size(offsets)), WriteItemType.SHARD, tensor_data=data)


def write_file(path: Path, content: dict[str, Any]) -> None:
    """Write a file for `torch.load`, and wait until it is on the disk.

    Raises:
        OSError: The disk is full.
    """
    with path.open("wb") as file:
        with _raising_os_errors():
            torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _raising_os_errors() -> Iterator[None]:
    """Raise the OSError that torch.save has wrapped into a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
