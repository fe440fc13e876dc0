"""The folder of one checkpoint: its files, how it appears whole or not at all, and how damage is reported.

CHECKPOINT/
  __RANK_0.distcp  tensors of the model and of the tables' optimizer, written by one rank
  metadata.json    name, shape and dtype of each tensor, and which chunk of it lies in which file, with its checksum
  trainer.pt       the state of the dense optimizer, what all ranks share, and what each rank has of its own
  checksums.json   the checksums of metadata.json and trainer.pt

Nothing of it is code: `torch.load` reads no more of trainer.pt than tensors and plain values. In checkpoints of former
versions, `.metadata` stands for metadata.json.

While a new checkpoint replaces CHECKPOINT, it is written to .CHECKPOINT.tmp, and the former one is renamed to
.CHECKPOINT.old for a moment. A kill at any time leaves at least one of them complete.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from recsys.checkpoint.metadata import DAMAGE_REMEDY, FORMER_METADATA, METADATA
from recsys.checksums import CHECKSUMS, inside, verify, write_checksums
from recsys.errors import DataError, RecsysError
from recsys.files import hidden_sibling, replace_folder

__all__ = [
    "TRAINER",
    "find_checkpoint",
    "link_checkpoint",
    "read_trainer",
    "temporary_path",
    "unreadable",
    "write_seal",
]

TRAINER = "trainer.pt"


def find_checkpoint(folder: Path) -> Path | None:
    """Return the complete checkpoint at `folder`: itself, or the former one if a kill came between two renames.

    Returns:
        None if there is no complete checkpoint.
    """
    for candidate in (folder, hidden_sibling(folder, "old")):
        has_list = (candidate / METADATA).exists() or (candidate / FORMER_METADATA).exists()
        if has_list and (candidate / TRAINER).exists():
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


def write_seal(folder: Path) -> None:
    """Write the checksums of the files that are not tensors, and wait until all of these are on the disk."""
    write_checksums(folder, [METADATA, TRAINER])
    for name in (METADATA, CHECKSUMS):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def temporary_path(folder: Path) -> Path:
    """Return where a checkpoint is written before it is published under its name."""
    return hidden_sibling(folder, "tmp")


def read_trainer(folder: Path) -> dict[str, Any]:
    """Return everything of a checkpoint but the tensors of the model and of the tables' optimizer.

    Returns:
        "optimizer": the state dict of the dense optimizer; "extra": what all ranks share; "ranks": a list with what
        each rank has of its own.

    Raises:
        DataError: The file is damaged.
    """
    path = verify(inside(folder, TRAINER), remedy=DAMAGE_REMEDY)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return {
            "optimizer": dict(found["optimizer"]),
            "extra": dict(found["extra"]),
            "ranks": list(found.get("ranks", [])),
        }
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged zip file raises
        raise unreadable(folder, error) from error


def unreadable(folder: Path, error: BaseException) -> BaseException:
    """Return the error to raise when reading a checkpoint failed with `error`; Ctrl-C stays what it is."""
    if isinstance(error, (KeyboardInterrupt, RecsysError)):
        return error
    return DataError(f"{folder}: cannot be read as a checkpoint: {type(error).__name__}: {error}; {DAMAGE_REMEDY}")
