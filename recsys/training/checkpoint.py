"""Checkpoints of a run: `checkpoints/last` to go on from, `checkpoints/best` to evaluate and export.

Tables and their optimiser go through torch.distributed.checkpoint, everything else is one small file. A folder appears
under its name only when it is complete.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.optim import Optimizer
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.errors import DataError

__all__ = ["find", "load", "save"]

_TRAINER = "trainer.pt"


def save(folder: Path, model: DistributedModelParallel, optimizer: Optimizer, extra: dict[str, Any]) -> None:
    """Write everything that the rest of the run depends on; a kill at any moment leaves the former checkpoint.

    Args:
        folder: where to; replaced when it exists.
        model: the sharded model, with its fused optimiser.
        optimizer: of the dense part.
        extra: plain values and tensors: place in the data, callbacks' states, random state.
    """
    temporary = _sibling(folder, "tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        state_dict_saver.save(_tables(model), checkpoint_id=temporary)
    except CheckpointException as error:  # wraps whatever came, Ctrl-C too
        raise next(cause for cause, _ in error.failures.values()) from error
    torch.save({"optimizer": optimizer.state_dict(), "extra": extra}, temporary / _TRAINER)
    _swap(temporary, folder)


def copy(source: Path, folder: Path) -> None:
    """Let `folder` be the same checkpoint as `source`: hard links, no bytes are written."""
    temporary = _sibling(folder, "tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(find(source) or source, temporary, copy_function=os.link)
    _swap(temporary, folder)


def find(folder: Path) -> Path | None:
    """Return the complete checkpoint at `folder`: itself, or the one it was about to replace."""
    for candidate in (folder, _sibling(folder, "old")):
        if (candidate / _TRAINER).exists():
            return candidate
    return None


def load(folder: Path, model: DistributedModelParallel, optimizer: Optimizer | None = None) -> dict[str, Any]:
    """Read a checkpoint into the model and, when given, the dense optimiser; return its `extra`.

    Raises:
        DataError: there is no complete checkpoint.
    """
    found = find(folder)
    if found is None:
        raise DataError(f"{folder}: no complete checkpoint there")
    state = _tables(model)
    state_dict_loader.load(state, checkpoint_id=found)
    model.load_state_dict(state["model"])
    model.fused_optimizer.load_state_dict(state["sparse"])
    trainer = torch.load(found / _TRAINER, weights_only=True)
    if optimizer is not None:
        optimizer.load_state_dict(trainer["optimizer"])
    extra: dict[str, Any] = trainer["extra"]
    return extra


def _tables(model: DistributedModelParallel) -> dict[str, Any]:
    return {"model": model.state_dict(), "sparse": model.fused_optimizer.state_dict()}


def _sibling(folder: Path, suffix: str) -> Path:
    return folder.with_name(f".{folder.name}.{suffix}")


def _swap(temporary: Path, folder: Path) -> None:
    old = _sibling(folder, "old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
