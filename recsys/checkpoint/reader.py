"""The tensors of a checkpoint on disk, read piece by piece: without a model, other ranks or a GPU."""

import io
import pickle
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import FileSystemReader

from recsys.checkpoint import layout as checkpoint
from recsys.errors import DataError

__all__ = ["ChunkRef", "CheckpointReader"]

DENSE = "dense optimiser: "


class ChunkRef(NamedTuple):
    """A piece of a tensor, and where it is."""

    offsets: tuple[int, ...]
    """Where it begins in the whole tensor, by dimension."""
    sizes: tuple[int, ...]
    file: str
    first: int
    """Byte of the file."""
    length: int
    """Bytes."""


class CheckpointReader:
    """Everything that a checkpoint trains on from, except progress and random states.

    Args:
        folder: of the checkpoint; need not be complete, but must have its list of tensors.

    Attributes:
        kinds: name -> (size, dtype) of each tensor; first those of the model and of the tables' optimiser, named as
            in the checkpoint, then those of the dense optimiser.
        places: where the pieces of the first are.

    Raises:
        DataError: the list of tensors is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        entries = checkpoint.read_metadata(folder)
        self.kinds = {name: (tuple(entry.size), entry.properties.dtype) for name, entry in entries.items()}
        self.places: dict[str, list[ChunkRef]] = {name: [] for name in entries}
        sizes = {
            (name, tuple(piece.offsets)): tuple(piece.sizes)
            for name, entry in entries.items()
            for piece in entry.chunks
        }
        for index, where in FileSystemReader(folder).read_metadata().storage_data.items():
            if index.fqn in entries:
                offsets = tuple(index.offset or ())
                place = ChunkRef(offsets, sizes[index.fqn, offsets], where.relative_path, where.offset, where.length)
                self.places[index.fqn].append(place)
        self.trainer: dict[str, Any] = {}
        if (folder / checkpoint.TRAINER).exists():
            self.trainer = checkpoint.read_trainer(folder)
        self._held = _dense_state(self.trainer.get("optimizer", {"state": {}, "param_groups": []}))
        self.kinds |= {name: (tuple(value.shape), value.dtype) for name, value in self._held.items()}
        self._read = lru_cache(maxsize=2)(self._read_piece)  # pieces of another sharding overlap several of ours

    def defects(self) -> list[str]:
        """Say which files are missing or too short."""
        needed: dict[str, int] = {checkpoint.TRAINER: 1}
        for place in (place for places in self.places.values() for place in places):
            needed[place.file] = max(needed.get(place.file, 0), place.first + place.length)
        found = []
        for name, size in sorted(needed.items()):
            path = self.folder / name
            if not path.exists():
                found.append(f"{name} is missing")
            elif path.stat().st_size < size:
                found.append(f"{name} is cut off: {path.stat().st_size:,} of {size:,} bytes")
        return found

    def pieces(self, name: str) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """Give the pieces of a tensor, each with where it begins.

        Raises:
            DataError: one is missing or damaged.
        """
        if name in self._held:
            yield (0,) * self._held[name].dim(), self._held[name]
        for place in self.places.get(name, []):
            yield place.offsets, self.piece(place)

    def piece(self, place: ChunkRef) -> Tensor:
        """Read one piece."""
        return self._read(place)

    def _read_piece(self, place: ChunkRef) -> Tensor:
        path = self.folder / place.file
        try:
            with path.open("rb") as file:
                file.seek(place.first)
                held = io.BytesIO(file.read(place.length))
            values: Tensor = torch.load(held, map_location="cpu", weights_only=True)
        except (FileNotFoundError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        return values

    def region(self, name: str, offsets: tuple[int, ...], sizes: tuple[int, ...]) -> Tensor:
        """Return a part of a tensor, put together from the pieces that it lies in."""
        if name in self._held:
            return self._held[name][tuple(slice(a, a + n) for a, n in zip(offsets, sizes, strict=True))]
        found = torch.empty(sizes, dtype=self.kinds[name][1])
        for place in self.places[name]:
            both = zip(offsets, sizes, place.offsets, place.sizes, strict=True)
            overlap = [(max(a, b), min(a + n, b + m)) for a, n, b, m in both]
            if all(first < end for first, end in overlap):
                to = tuple(slice(first - a, end - a) for (first, end), a in zip(overlap, offsets, strict=True))
                of = tuple(slice(first - b, end - b) for (first, end), b in zip(overlap, place.offsets, strict=True))
                found[to] = self.piece(place)[of]
        return found

    def whole(self, name: str) -> Tensor:
        """Return a tensor."""
        size, _ = self.kinds[name]
        return self.region(name, (0,) * len(size), size)


def _dense_state(optimizer: dict[str, Any]) -> dict[str, Tensor]:
    """Return the numbers of the dense optimiser."""
    found: dict[str, Tensor] = {}
    for parameter, state in optimizer["state"].items():
        numbers = {key: value for key, value in state.items() if isinstance(value, (Tensor, float, int))}
        found |= {f"{DENSE}{key} of parameter {parameter}": torch.as_tensor(value) for key, value in numbers.items()}
    for number, group in enumerate(optimizer["param_groups"]):
        found[f"{DENSE}learning rate {number}"] = torch.tensor(group["lr"], dtype=torch.float64)
    return found
