"""Loading a checkpoint into a sharded model, at any world size and with any sharding plan."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, distributed
from torch.distributed.checkpoint import state_dict_loader
from torch.distributed.checkpoint.api import CheckpointException
from torch.optim import Optimizer
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.checkpoint.folder import find_checkpoint, read_trainer, unreadable
from recsys.checkpoint.metadata import TensorEntry, read_metadata
from recsys.checkpoint.snapshot import size_of, tensors_of
from recsys.checkpoint.storage import ChunkLoader
from recsys.checkpoint.tensor_names import former_name, readable_name
from recsys.errors import DataError
from recsys.ranks import broadcast, current_world

__all__ = ["LoadedState", "load_checkpoint"]

MOST_PROBLEMS = 8
"""Number of tensors that do not fit the model and are named in the message."""


class LoadedState(NamedTuple):
    """The contents of a checkpoint beside the tensors that the model and the optimizer took."""

    extra: dict[str, Any]
    """State that all ranks share."""
    ranks: list[dict[str, Any]]
    """State that each rank had of its own when it was saved; one entry a rank of that time."""


def load_checkpoint(folder: Path, model: DistributedModelParallel, optimizer: Optimizer | None = None) -> LoadedState:
    """Load a checkpoint into the model and, if given, the dense optimizer.

    Every rank must call this; each reads the rows that it holds.

    Args:
        folder: Folder of the checkpoint.
        model: The sharded model; its tensors are overwritten in place, with those of the tables' optimizer.
        optimizer: The optimizer of the dense part.

    Raises:
        DataError: There is no complete checkpoint, it is damaged, or it is that of another model.
    """
    found = broadcast(find_checkpoint(folder))
    if found is None:
        raise DataError(f"{folder}: no complete checkpoint there")
    tensors = tensors_of(model)
    entries = read_metadata(found)
    saved = _by_saved_name(entries, tensors)
    _check_same_tensors(found, entries, saved)
    try:
        state_dict_loader.load(saved, storage_reader=ChunkLoader(found, entries))
    except CheckpointException as error:  # wraps whatever came, Ctrl-C too
        raise unreadable(found, next(cause for cause, _ in error.failures.values())) from error
    trainer = read_trainer(found)
    state = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    model.load_state_dict(state)  # everything is there; this empties the caches of tables in host memory
    if optimizer is not None:
        optimizer.load_state_dict(trainer["optimizer"])
    return LoadedState(trainer["extra"], trainer["ranks"])


def _by_saved_name(entries: dict[str, TensorEntry], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under the names that they have in the checkpoint, which may be those of a former version."""
    is_former = any(name not in entries and former_name(name) in entries for name in tensors)
    return {former_name(name): value for name, value in tensors.items()} if is_former else tensors


def _check_same_tensors(found: Path, entries: dict[str, TensorEntry], tensors: dict[str, Tensor]) -> None:
    """Refuse the checkpoint of another model, on all ranks alike."""
    saved = {name: entry.size for name, entry in entries.items()}
    problems = _differences(saved, {name: tuple(size_of(value)) for name, value in tensors.items()})
    if current_world().size > 1:  # a rank knows the optimizer's state of its own tables only
        of_ranks: list[set[str]] = [set()] * current_world().size
        distributed.all_gather_object(of_ranks, problems)
        problems = set.union(*of_ranks)
    if problems:
        shown = sorted(problems)[:MOST_PROBLEMS]
        more = f"\n  and {len(problems) - len(shown)} more" if len(problems) > len(shown) else ""
        raise DataError(f"{found}: a checkpoint of another model:\n  " + "\n  ".join(shown) + more)


def _differences(saved: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> set[str]:
    """Return one sentence for each tensor whose shape in the checkpoint is not the model's."""
    problems = {f"{readable_name(name)} is not in it" for name in expected.keys() - saved.keys()}
    extra = {name for name in saved.keys() - expected.keys() if name.startswith("model.")}
    problems |= {f"{readable_name(name)} is in it, but not in the model" for name in extra}
    return problems | {
        f"{readable_name(name)} has the shape {saved[name]} in it, {size} in the model"
        for name, size in expected.items()
        if name in saved and saved[name] != size
    }
