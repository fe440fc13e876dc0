"""Checkpoints of a run: `checkpoints/last` to go on from, `checkpoints/best` to evaluate and export.

Tables and their optimiser are stored by torch.distributed.checkpoint, by table and row, so that they are loaded at any
world size and with any sharding. Everything else is one small file. A folder appears under its name only when it is
complete.
"""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch.distributed.checkpoint import state_dict_loader
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.optim import Optimizer
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.checkpoint.chunks import size_of, tensors_of
from recsys.errors import DataError
from recsys.ranks import broadcast, current

__all__ = ["Loaded", "copy", "find", "load", "read_metadata", "readable", "table_of"]

TRAINER = "trainer.pt"
METADATA = ".metadata"


class Loaded(NamedTuple):
    """What a checkpoint holds beside tensors that a model or optimiser took."""

    extra: dict[str, Any]
    """What is the same on all ranks."""
    ranks: list[dict[str, Any]]
    """What was each rank's own, by rank; as many as there were then."""


def copy(source: Path, folder: Path) -> None:
    """Let `folder` be the same checkpoint as `source`: by hard links, where the disk has them."""
    temporary = sibling(folder, "tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(find(source) or source, temporary, copy_function=_link)
    swap(temporary, folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def find(folder: Path) -> Path | None:
    """Return the complete checkpoint at `folder`: itself, or the one it was about to replace."""
    for candidate in (folder, sibling(folder, "old")):
        if (candidate / TRAINER).exists() and (candidate / METADATA).exists():
            return candidate
    return None


def load(folder: Path, model: DistributedModelParallel, optimizer: Optimizer | None = None) -> Loaded:
    """Read a checkpoint into the model and, when given, the dense optimiser. All ranks call it, and read their rows.

    Raises:
        DataError: there is no complete checkpoint, or it is one of other tables.
    """
    found = broadcast(find(folder))
    if found is None:
        raise DataError(f"{folder}: no complete checkpoint there")
    tensors = tensors_of(model)
    _check_same(found, tensors)
    try:
        state_dict_loader.load(tensors, checkpoint_id=found)
    except CheckpointException as error:  # wraps whatever came, Ctrl-C too
        raise _unreadable(found, next(cause for cause, _ in error.failures.values())) from error
    trainer = read_trainer(found)
    own = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    model.load_state_dict(own)  # everything is there; this empties the caches of tables in host memory
    if optimizer is not None:
        optimizer.load_state_dict(trainer["optimizer"])
    return Loaded(trainer["extra"], trainer.get("ranks", []))


def read_metadata(found: Path) -> dict[str, TensorStorageMetadata]:
    """Return the shape, dtype and pieces of every tensor of a checkpoint.

    Raises:
        DataError: the list of its tensors is damaged.
    """
    try:
        metadata = FileSystemReader(found).read_metadata()
        tensors = metadata.state_dict_metadata
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        raise _unreadable(found, error) from error
    return {name: entry for name, entry in tensors.items() if isinstance(entry, TensorStorageMetadata)}


def read_trainer(found: Path) -> dict[str, Any]:
    """Return what a checkpoint holds beside the tensors of the model and of the tables' optimiser.

    Raises:
        DataError: the file is damaged.
    """
    try:
        trainer: dict[str, Any] = torch.load(found / TRAINER, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise _unreadable(found, error) from error
    return trainer


def _check_same(found: Path, tensors: dict[str, Tensor]) -> None:
    """Refuse the checkpoint of another model, on all ranks alike."""
    saved = {name: tuple(entry.size) for name, entry in read_metadata(found).items()}
    wanted = {name: tuple(size_of(value)) for name, value in tensors.items()}
    problems = {f"{readable(name)} is not in it" for name in wanted.keys() - saved.keys()}
    extra = {name for name in saved.keys() - wanted.keys() if name.startswith("model.")}
    problems |= {f"{readable(name)} is in it, but not in the model" for name in extra}
    problems |= {
        f"{readable(name)} has the shape {saved[name]} in it, {size} in the model"
        for name, size in wanted.items()
        if name in saved and saved[name] != size
    }
    if current().size > 1:  # a rank knows the optimiser's state of its own tables only
        of_ranks: list[set[str]] = [set()] * current().size
        distributed.all_gather_object(of_ranks, problems)
        problems = set.union(*of_ranks)
    if problems:
        shown = sorted(problems)[:8]
        more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
        raise DataError("\n  ".join([f"{found}: a checkpoint of another model:", *shown, *more]))


def readable(name: str) -> str:
    """Return how a user calls a tensor of a checkpoint.

    >>> readable("model.lookup.pooled.embedding_bags.user_table.weight")
    'table user_table'
    >>> readable("sparse.state.lookup.pooled.embedding_bags.user_table.weight.user_table.momentum1")
    "momentum1 of table user_table's optimiser"
    >>> readable("model.tower.head.bias")
    'tower.head.bias'
    """
    table = table_of(name)
    if table is None:
        return name.removeprefix("model.")
    return f"{name.rsplit('.', 1)[1]} of table {table}'s optimiser" if name.startswith("sparse.") else f"table {table}"


def table_of(name: str) -> str | None:
    """Return the table that a tensor of a checkpoint belongs to."""
    _, _, rest = name.partition(".embedding_bags.")
    return rest.split(".", 1)[0] or None


def _unreadable(found: Path, error: BaseException) -> BaseException:
    if isinstance(error, KeyboardInterrupt):
        return error
    return DataError(f"{found}: cannot be read as a checkpoint: {type(error).__name__}: {error}")


def sibling(folder: Path, suffix: str) -> Path:
    return folder.parent / f".{folder.name}.{suffix}"


def swap(temporary: Path, folder: Path) -> None:
    old = sibling(folder, "old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
