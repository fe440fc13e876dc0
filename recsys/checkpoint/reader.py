"""The tensors of a checkpoint on disk, read chunk by chunk: without a model, other ranks or a GPU."""

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recsys.checkpoint.folder import TRAINER, read_trainer
from recsys.checkpoint.metadata import DAMAGE_REMEDY, ChunkRef, read_metadata
from recsys.checkpoint.storage import read_chunk
from recsys.errors import DataError

__all__ = ["CheckpointReader"]

DENSE = "dense optimizer: "


class CheckpointReader:
    """Reads everything of a checkpoint that training depends on, except progress and random states.

    Args:
        folder: Folder of the checkpoint; it may be incomplete, but must have its list of tensors.

    Attributes:
        specs: Name -> (shape, dtype) of each tensor; first those of the model and of the tables' optimizer, named as
            in the checkpoint, then those of the dense optimizer.
        chunks: Name -> where its chunks are, for tensors of the model and of the tables' optimizer.
        trainer: What `read_trainer` returned; empty if the file is missing.

    Raises:
        DataError: The list of tensors is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        entries = read_metadata(folder)
        self.specs = {name: (entry.size, entry.dtype) for name, entry in entries.items()}
        self.chunks = {name: entry.chunks for name, entry in entries.items()}
        self.trainer: dict[str, Any] = read_trainer(folder) if (folder / TRAINER).exists() else {}
        self._dense = _dense_state(self.trainer.get("optimizer", {"state": {}, "param_groups": []}))
        self.specs |= {name: (tuple(value.shape), value.dtype) for name, value in self._dense.items()}
        # Chunks of another sharding overlap several of ours.
        self._cached = lru_cache(maxsize=2)(partial(read_chunk, folder))

    def defects(self) -> list[str]:
        """Return one sentence for each file that is missing or too short; [] if the checkpoint is complete."""
        needed: dict[str, int] = {TRAINER: 1}
        for ref in (ref for refs in self.chunks.values() for ref in refs):
            needed[ref.file] = max(needed.get(ref.file, 0), ref.start + ref.length)
        found = []
        for name, size in sorted(needed.items()):
            path = self.folder / name
            if not path.exists():
                found.append(f"{name} is missing")
            elif path.stat().st_size < size:
                found.append(f"{name} is cut off: {path.stat().st_size:,} of {size:,} bytes")
        return found

    def read_chunks(self, name: str) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """Yield the chunks of a tensor, each with its offsets in the whole tensor.

        Raises:
            DataError: A file is missing or damaged.
        """
        if name in self._dense:
            yield (0,) * self._dense[name].dim(), self._dense[name]
        for ref in self.chunks.get(name, []):
            yield ref.offsets, self.read_chunk(ref)

    def read_chunk(self, ref: ChunkRef) -> Tensor:
        """Return the values of one chunk.

        Raises:
            DataError: The file is missing or damaged.
        """
        return self._cached(ref)

    def read_region(self, name: str, offsets: tuple[int, ...], sizes: tuple[int, ...]) -> Tensor:
        """Return a block of a tensor, put together from the chunks that overlap it.

        Args:
            name: Name of the tensor, a key of `specs`.
            offsets: Index of the block's first value, by dimension.
            sizes: Shape of the block.
        """
        if name in self._dense:
            return self._dense[name][tuple(slice(a, a + n) for a, n in zip(offsets, sizes, strict=True))]
        if defects := self.defects():  # before memory is taken for values that are not there
            raise DataError(f"{self.folder}: cannot be read: {defects[0]}; {DAMAGE_REMEDY}")
        values = torch.empty(sizes, dtype=self.specs[name][1])
        for ref in self.chunks[name]:
            both = zip(offsets, sizes, ref.offsets, ref.sizes, strict=True)
            overlap = [(max(a, b), min(a + n, b + m)) for a, n, b, m in both]
            if all(first < end for first, end in overlap):
                target = tuple(slice(first - a, end - a) for (first, end), a in zip(overlap, offsets, strict=True))
                source = tuple(slice(first - b, end - b) for (first, end), b in zip(overlap, ref.offsets, strict=True))
                values[target] = self.read_chunk(ref)[source]
        return values

    def read_tensor(self, name: str) -> Tensor:
        """Return a whole tensor."""
        size, _ = self.specs[name]
        return self.read_region(name, (0,) * len(size), size)


def _dense_state(optimizer: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors and numbers of the dense optimizer's state dict by name."""
    found: dict[str, Tensor] = {}
    for parameter, state in optimizer["state"].items():
        numbers = {key: value for key, value in state.items() if isinstance(value, (Tensor, float, int))}
        found |= {f"{DENSE}{key} of parameter {parameter}": torch.as_tensor(value) for key, value in numbers.items()}
    for number, group in enumerate(optimizer["param_groups"]):
        found[f"{DENSE}learning rate {number}"] = torch.tensor(group["lr"], dtype=torch.float64)
    return found
