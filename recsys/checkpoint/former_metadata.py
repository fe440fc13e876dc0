"""The list of tensors in checkpoints of former versions: a pickle that torch.distributed.checkpoint has written.

A pickle is a program. This one is read by an unpickler that knows nothing but records without any code, so a checkpoint
from somebody else is refused, at worst.
"""

import io
import pickle
import pickletools
from typing import Any

import torch

__all__ = ["parse_former"]

_RECORDS = {
    "torch.distributed.checkpoint.metadata": {
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "builtins": {"getattr"},  # how the enums of Python 3.11.0 to 3.11.3 name their members
    "__builtin__": {"getattr"},
    "pathlib": {"PosixPath"},
    "pathlib._local": {"PosixPath"},
}
"""What a list of tensors consists of, by module; each of these is read as a `_Record`."""


class _Record:
    """What an object of some class was made from, or its attributes."""

    def __init__(self, *_: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in _RECORDS.get(module, ()):
            return _Record
        if (module, name) == ("torch", "Size"):
            return tuple
        if module == "torch" and isinstance(dtype := getattr(torch, name, None), torch.dtype):
            return dtype
        raise pickle.UnpicklingError(f"it wants to call {module}.{name}, for which a list of tensors has no use")


def _check_sizes(content: bytes) -> None:
    """Refuse a pickle that says more than it holds, for which the unpickler would take memory."""
    for opcode, argument, _ in pickletools.genops(content):  # raises where bytes are missing
        if "PUT" in opcode.name and int(argument or 0) > len(content):
            raise pickle.UnpicklingError(f"it numbers an object {argument}, and has {len(content)} bytes")


def parse_former(content: bytes) -> dict[str, dict[str, Any]]:
    """Return what the file `.metadata` says, as `metadata.json` would say it: tensor -> size, dtype and chunks.

    Raises:
        Exception: of many kinds, if the file is not what torch.distributed.checkpoint has written.
    """
    _check_sizes(content)
    root = _Unpickler(io.BytesIO(content)).load().state
    tensors: dict[str, dict[str, Any]] = {}
    sizes: dict[tuple[str, tuple[int, ...]], tuple[int, ...]] = {}
    for name, entry in root["state_dict_metadata"].items():
        dtype = str(entry.state["properties"].state[0]).removeprefix("torch.")
        tensors[name] = {"size": entry.state["size"], "dtype": dtype, "chunks": []}
        sizes |= {(name, chunk.state["offsets"]): chunk.state["sizes"] for chunk in entry.state["chunks"]}
    for index, stored in root["storage_data"].items():
        name, offsets = index.state["fqn"], index.state["offset"] or ()
        chunk = {"offsets": offsets, "sizes": sizes[name, offsets], "file": stored.state["relative_path"]}
        chunk |= {"start": stored.state["offset"], "length": stored.state["length"], "checksum": None}
        tensors[name]["chunks"].append(chunk)
    return tensors
