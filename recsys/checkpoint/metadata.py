"""The list of tensors of a checkpoint: their shapes and types, and which chunk of them lies in which file.

`metadata.json` is JSON, so that reading it runs nothing:

    {"format": 1, "tensors": {NAME: {"size": [11, 8], "dtype": "float32", "chunks": [
        {"offsets": [0, 0], "sizes": [2, 8], "file": "__0_0.distcp", "start": 0, "length": 64, "checksum": "..."}]}}}

A chunk's values lie in its file as they lie in memory, row by row, in little-endian order.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from recsys.checkpoint.former_metadata import parse_former
from recsys.checksums import inside, read_verified
from recsys.errors import DataError, RecsysError
from recsys.files import write_json

__all__ = [
    "DAMAGE_REMEDY",
    "FORMER_METADATA",
    "METADATA",
    "ChunkRef",
    "TensorEntry",
    "read_metadata",
    "write_metadata",
]

METADATA = "metadata.json"
FORMER_METADATA = ".metadata"
"""The list of tensors in checkpoints of former versions, whose chunks are zip files for `torch.load`."""
DAMAGE_REMEDY = "restore the checkpoint from a copy; a run has two, checkpoints/best and checkpoints/last"

_FORMAT = 1
_DTYPES = {str(value).removeprefix("torch."): value for value in vars(torch).values() if isinstance(value, torch.dtype)}


class ChunkRef(NamedTuple):
    """The place of a chunk of a tensor: in the tensor, and on the disk."""

    offsets: tuple[int, ...]
    """Index of its first value in the whole tensor, by dimension."""
    sizes: tuple[int, ...]
    """Shape of the chunk."""
    dtype: torch.dtype
    file: str
    """Name of the file in the checkpoint's folder."""
    start: int
    """First byte in the file."""
    length: int
    """Bytes in the file."""
    checksum: str | None
    """Checksum of these bytes; None if a former version has written them, for `torch.load`."""


class TensorEntry(NamedTuple):
    """A tensor as the list describes it, without its values."""

    size: tuple[int, ...]
    dtype: torch.dtype
    chunks: list[ChunkRef]


def write_metadata(folder: Path, tensors: Mapping[str, TensorEntry]) -> None:
    """Write the list of tensors of a checkpoint."""
    entries = {
        name: {
            "size": entry.size,
            "dtype": _name_of(entry.dtype),
            "chunks": [{key: value for key, value in ref._asdict().items() if key != "dtype"} for ref in entry.chunks],
        }
        for name, entry in tensors.items()
    }
    write_json(folder / METADATA, {"format": _FORMAT, "tensors": entries}, indent=1)


def read_metadata(folder: Path) -> dict[str, TensorEntry]:
    """Return the shape, type and chunks of every tensor of a checkpoint by name.

    Raises:
        DataError: The list of tensors is missing, damaged, or names files out of the folder.
    """
    path = folder / METADATA
    if not path.exists():
        path = folder / FORMER_METADATA
    try:
        content = read_verified(inside(folder, path.name), remedy=DAMAGE_REMEDY)
        tensors = _parse(content) if path.name == METADATA else parse_former(content)
        return {name: _entry(folder, **facts) for name, facts in tensors.items()}
    except (RecsysError, OSError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged pickle raises
        raise DataError(
            f"{path}: cannot be read as the list of tensors of a checkpoint: {type(error).__name__}: {error}; "
            f"{DAMAGE_REMEDY}"
        ) from error


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _parse(content: bytes) -> dict[str, dict[str, Any]]:
    found = json.loads(content)
    if found["format"] != _FORMAT:
        raise ValueError(f"format must be {_FORMAT}, got {found['format']!r}: a later version has written it")
    tensors: dict[str, dict[str, Any]] = found["tensors"]
    for entry in tensors.values():
        for chunk in entry["chunks"]:
            if not isinstance(chunk["checksum"], str):
                raise ValueError(f"checksum must be a text, got {chunk['checksum']!r}")
    return tensors


def _entry(folder: Path, *, size: Any, dtype: str, chunks: list[dict[str, Any]]) -> TensorEntry:
    """Return the entry of a tensor, whose chunks must be what the tensor consists of."""
    whole = _shape(size)
    refs = [_ref(folder, whole, _DTYPES[dtype], **chunk) for chunk in chunks]
    if sum(math.prod(ref.sizes) for ref in refs) != math.prod(whole):
        raise ValueError(f"the chunks of a tensor of {whole} must hold all of its values once")
    return TensorEntry(whole, _DTYPES[dtype], refs)


def _ref(
    folder: Path,
    whole: tuple[int, ...],
    dtype: torch.dtype,
    *,
    offsets: Any,
    sizes: Any,
    file: str,
    start: int,
    length: int,
    checksum: str | None,
) -> ChunkRef:
    start, length = _shape([start, length])
    ref = ChunkRef(_shape(offsets), _shape(sizes), dtype, inside(folder, file).name, start, length, checksum)
    if any(a + n > size for a, n, size in zip(ref.offsets, ref.sizes, whole, strict=True)):
        raise ValueError(f"a chunk of {ref.sizes} at {ref.offsets} must lie in its tensor of {whole}")
    num_bytes = math.prod(ref.sizes) * dtype.itemsize
    if length < num_bytes or (checksum is not None and length != num_bytes):
        raise ValueError(f"a chunk of {ref.sizes} has {num_bytes} bytes, got {length}")
    return ref


def _shape(values: Any) -> tuple[int, ...]:
    found = tuple(values)
    if not all(type(value) is int and 0 <= value < 2**63 for value in found):
        raise ValueError(f"must be whole numbers that are not negative, got {found}")
    return found
