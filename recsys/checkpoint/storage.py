"""The bytes of tensors in the files of a checkpoint: written and read chunk by chunk, each with its checksum.

torch.distributed.checkpoint plans which rank writes or reads which chunk, and exchanges the plans between the ranks.
Its own files are left alone, since they hold pickles.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem, SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.distributed.checkpoint.utils import _create_file_view
from torch.futures import Future

from recsys.checkpoint.metadata import DAMAGE_REMEDY, ChunkRef, TensorEntry, write_metadata
from recsys.checksums import checksum, inside
from recsys.errors import DataError

__all__ = ["ChunkLoader", "ChunkWriter", "read_chunk"]

_ALIGNMENT = 64
"""A chunk begins at a multiple of so many bytes, which every type of values divides."""


def read_chunk(folder: Path, ref: ChunkRef) -> Tensor:
    """Return the values of one chunk.

    Raises:
        DataError: The file is missing or damaged.
    """
    if ref.checksum is None:
        return _read_former(folder, ref)
    _check_length(folder, ref)  # before memory is taken for it
    values = torch.empty(ref.sizes, dtype=ref.dtype)
    _fill(values, folder, ref)
    return values


def _read_former(folder: Path, ref: ChunkRef) -> Tensor:
    """Return the values of a chunk that a former version has written, with `torch.save`."""
    _check_length(folder, ref)
    try:
        with (folder / ref.file).open("rb") as file:
            part = _create_file_view(file, ref.start, ref.length)
            values: Tensor = torch.load(cast(BinaryIO, part), map_location="cpu", weights_only=True)
        if (tuple(values.shape), values.dtype) != (ref.sizes, ref.dtype):
            raise ValueError(f"must be {ref.sizes} of {ref.dtype}, got {tuple(values.shape)} of {values.dtype}")
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged zip file raises
        raise DataError(f"{folder / ref.file}: cannot be read: {error}; {DAMAGE_REMEDY}") from error
    return values


def _fill(values: Tensor, folder: Path, ref: ChunkRef) -> None:
    """Read a chunk into a contiguous tensor of the CPU that has its shape and type."""
    _check_length(folder, ref)
    content = _bytes_of(values)
    with (folder / ref.file).open("rb") as file:
        file.seek(ref.start)
        num_read = file.readinto(content)
    if num_read < ref.length or checksum(content) != ref.checksum:
        raise DataError(
            f"{folder / ref.file}: cannot be read: bytes {ref.start:,} to {ref.start + ref.length:,} are damaged: "
            f"their checksum is not that of what was written; {DAMAGE_REMEDY}"
        )


def _check_length(folder: Path, ref: ChunkRef) -> None:
    path = inside(folder, ref.file)
    found = path.stat().st_size if path.exists() else 0
    if found < ref.start + ref.length:
        needed = f"it must have {ref.start + ref.length:,} bytes or more, got {found:,}"
        raise DataError(f"{path}: cannot be read: {needed}; {DAMAGE_REMEDY}")


def _bytes_of(values: Tensor) -> memoryview:
    """Return the bytes of a contiguous tensor of the CPU, in its memory."""
    return values.reshape(-1).view(torch.uint8).numpy().data


class ChunkWriter(StorageWriter):
    """Writes the chunks of a rank's plan into one file of a folder, and at the end the list of all tensors.

    Args:
        folder: Folder that exists when the first rank writes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Do nothing: a writer is used once."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Do nothing: all ranks write alike."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Return the plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Give each rank the name of its file."""
        return [dataclasses.replace(plan, storage_data=f"__{rank}_0.distcp") for rank, plan in enumerate(plans)]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write the chunks of one rank, and wait until they are on the disk.

        Raises:
            OSError: The disk is full.
        """
        path = self.folder / plan.storage_data
        results = []
        with path.open("wb") as file:
            for item in plan.items:
                values = planner.resolve_data(item)
                assert isinstance(values, Tensor)
                content = _bytes_of(values.contiguous())
                file.write(bytes(-file.tell() % _ALIGNMENT))
                offsets, sizes = tuple(item.index.offset or ()), tuple(values.shape)
                start, length = file.tell(), len(content)
                ref = ChunkRef(offsets, sizes, values.dtype, path.name, start, length, checksum(content))
                file.write(content)
                results.append(WriteResult(index=item.index, size_in_bytes=length, storage_data=ref))
            file.flush()
            os.fsync(file.fileno())
        written: Future[list[WriteResult]] = Future()
        written.set_result(results)
        return written

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write the list of the tensors of all ranks."""
        tensors = {
            name: TensorEntry(tuple(entry.size), entry.properties.dtype, [])
            for name, entry in metadata.state_dict_metadata.items()
            if isinstance(entry, TensorStorageMetadata)
        }
        for result in (result for rank in results for result in rank):
            tensors[result.index.fqn].chunks.append(result.storage_data)
        write_metadata(self.folder, tensors)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Return whether a checkpoint can lie there."""
        return isinstance(checkpoint_id, str | os.PathLike)


class ChunkLoader(StorageReader):
    """Reads the chunks of which a rank's plan needs a part.

    Args:
        folder: Folder of the checkpoint.
        tensors: Its list of tensors.
    """

    def __init__(self, folder: Path, tensors: dict[str, TensorEntry]) -> None:
        self.folder = folder
        self.tensors = tensors
        self._refs = {(name, ref.offsets): ref for name, entry in tensors.items() for ref in entry.chunks}

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Do nothing: a loader is used once."""

    def read_metadata(self, *_args: Any) -> Metadata:
        """Return the list of tensors in the form that torch plans with."""
        return Metadata(
            {
                name: TensorStorageMetadata(
                    TensorProperties(entry.dtype),
                    torch.Size(entry.size),
                    [ChunkStorageMetadata(torch.Size(ref.offsets), torch.Size(ref.sizes)) for ref in entry.chunks],
                )
                for name, entry in self.tensors.items()
            }
        )

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Do nothing: all is known."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Return the plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Return the plans as they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Read each chunk once, and copy the parts of it to where they are needed.

        Raises:
            DataError: A file is missing or damaged.
        """
        needed: dict[ChunkRef, list[ReadItem]] = {}
        for item in plan.items:
            index = item.storage_index
            needed.setdefault(self._refs[index.fqn, tuple(index.offset or ())], []).append(item)
        for ref, items in needed.items():
            self._read(ref, items, planner)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _read(self, ref: ChunkRef, items: list[ReadItem], planner: LoadPlanner) -> None:
        targets = [planner.resolve_tensor(item).detach() for item in items]
        if len(items) == 1 and _takes_whole(targets[0], ref):
            _fill(targets[0], self.folder, ref)
        else:
            chunk = read_chunk(self.folder, ref)
            for item, target in zip(items, targets, strict=True):
                part = tuple(slice(a, a + n) for a, n in zip(item.storage_offsets, item.lengths, strict=True))
                target.copy_(chunk[part])
        for item, target in zip(items, targets, strict=True):
            planner.commit_tensor(item, target)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Return whether a checkpoint can lie there."""
        return isinstance(checkpoint_id, str | os.PathLike)


def _takes_whole(target: Tensor, ref: ChunkRef) -> bool:
    """Return whether the bytes of a chunk can be read into a tensor as they are."""
    has_same_form = (tuple(target.shape), target.dtype) == (ref.sizes, ref.dtype)
    return ref.checksum is not None and has_same_form and target.is_cpu and target.is_contiguous()
