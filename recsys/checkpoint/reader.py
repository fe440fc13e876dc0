"""The tensors of a checkpoint on disk, read chunk by chunk: without a model, other ranks or a GPU."""

import io
import pickle
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import FileSystemReader

from recsys.checkpoint.folder import TRAINER, read_metadata, read_trainer
from recsys.errors import DataError

__all__ = ["CheckpointReader", "ChunkRef"]

DENSE = "dense optimiser: "


class ChunkRef(NamedTuple):
    """The place of a chunk of a tensor: in the tensor, and on the disk."""

    offsets: tuple[int, ...]
    """Index of its first value in the whole tensor, by dimension."""
    sizes: tuple[int, ...]
    """Shape of the chunk."""
    file: str
    """Name of the file in the checkpoint's folder."""
    start: int
    """First byte in the file."""
    length: int
    """Bytes in the file."""


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
        self.specs = {name: (tuple(entry.size), entry.properties.dtype) for name, entry in entries.items()}
        self.chunks: dict[str, list[ChunkRef]] = {name: [] for name in entries}
        sizes = {
            (name, tuple(chunk.offsets)): tuple(chunk.sizes)
            for name, entry in entries.items()
            for chunk in entry.chunks
        }
        for index, stored in FileSystemReader(folder).read_metadata().storage_data.items():
            if index.fqn in entries:
                offsets = tuple(index.offset or ())
                ref = ChunkRef(offsets, sizes[index.fqn, offsets], stored.relative_path, stored.offset, stored.length)
                self.chunks[index.fqn].append(ref)
        self.trainer: dict[str, Any] = read_trainer(folder) if (folder / TRAINER).exists() else {}
        self._dense = _dense_state(self.trainer.get("optimizer", {"state": {}, "param_groups": []}))
        self.specs |= {name: (tuple(value.shape), value.dtype) for name, value in self._dense.items()}
        self._cached = lru_cache(maxsize=2)(self._read)  # chunks of another sharding overlap several of ours

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

    def _read(self, ref: ChunkRef) -> Tensor:
        path = self.folder / ref.file
        try:
            with path.open("rb") as file:
                file.seek(ref.start)
                content = io.BytesIO(file.read(ref.length))
            values: Tensor = torch.load(content, map_location="cpu", weights_only=True)
        except (FileNotFoundError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        return values

    def read_region(self, name: str, offsets: tuple[int, ...], sizes: tuple[int, ...]) -> Tensor:
        """Return a block of a tensor, put together from the chunks that overlap it.

        Args:
            name: Name of the tensor, a key of `specs`.
            offsets: Index of the block's first value, by dimension.
            sizes: Shape of the block.
        """
        if name in self._dense:
            return self._dense[name][tuple(slice(a, a + n) for a, n in zip(offsets, sizes, strict=True))]
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
