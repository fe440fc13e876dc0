"""The folder of one checkpoint: its files, how it appears whole or not at all, and how damage is reported.

CHECKPOINT/
  __RANK_N.distcp  tensors of the model and of the tables' optimizer, written by one rank
  .metadata        name, shape and dtype of each tensor, and which chunk of it lies in which file
  trainer.pt       the state of the dense optimizer, what all ranks share, and what each rank has of its own

While a new checkpoint replaces CHECKPOINT, it is written to .CHECKPOINT.tmp, and the former one is renamed to
.CHECKPOINT.old for a moment. A kill at any time leaves at least one of them complete.
"""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from recsys.errors import DataError
from recsys.files import hidden_sibling, replace_folder

__all__ = [
    "METADATA",
    "TRAINER",
    "find_checkpoint",
    "link_checkpoint",
    "read_metadata",
    "read_trainer",
    "temporary_path",
    "unreadable",
]

TRAINER = "trainer.pt"
METADATA = ".metadata"


def find_checkpoint(folder: Path) -> Path | None:
    """Return the complete checkpoint at `folder`: itself, or the former one if a kill came between two renames.

    Returns:
        None if there is no complete checkpoint.
    """
    for candidate in (folder, hidden_sibling(folder, "old")):
        if (candidate / TRAINER).exists() and (candidate / METADATA).exists():
            return candidate
    return None


def link_checkpoint(source: Path, folder: Path) -> None:
    """Make `folder` the same checkpoint as `source`, by hard links where the file system has them, else by copying."""
    temporary = temporary_path(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(find_checkpoint(source) or source, temporary, copy_function=_link)
    replace_folder(temporary, folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def temporary_path(folder: Path) -> Path:
    """Return where a checkpoint is written before it is published under its name."""
    return hidden_sibling(folder, "tmp")


def read_metadata(folder: Path) -> dict[str, TensorStorageMetadata]:
    """Return the shape, dtype and chunks of every tensor of a checkpoint by name.

    Raises:
        DataError: The list of tensors is damaged.
    """
    try:
        tensors = FileSystemReader(folder).read_metadata().state_dict_metadata
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        raise unreadable(folder, error) from error
    return {name: entry for name, entry in tensors.items() if isinstance(entry, TensorStorageMetadata)}


def read_trainer(folder: Path) -> dict[str, Any]:
    """Return everything of a checkpoint but the tensors of the model and of the tables' optimizer.

    Returns:
        "optimizer": the state dict of the dense optimizer; "extra": what all ranks share; "ranks": a list with what
        each rank has of its own.

    Raises:
        DataError: The file is damaged.
    """
    try:
        trainer: dict[str, Any] = torch.load(folder / TRAINER, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise unreadable(folder, error) from error
    return trainer


def unreadable(folder: Path, error: BaseException) -> BaseException:
    """Return the error to raise when reading a checkpoint failed with `error`; Ctrl-C stays what it is."""
    if isinstance(error, KeyboardInterrupt):
        return error
    return DataError(f"{folder}: cannot be read as a checkpoint: {type(error).__name__}: {error}")
