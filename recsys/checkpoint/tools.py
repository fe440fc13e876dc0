"""What is in a checkpoint, and a checkpoint as one plain file or written anew by one process."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import MetadataIndex
from torch.distributed.checkpoint.planner import SavePlan

from recsys.checkpoint import layout as checkpoint
from recsys.checkpoint.chunks import ChunkWriter, write_file, write_item
from recsys.checkpoint.layout import METADATA, TRAINER, readable, table_of
from recsys.checkpoint.reader import CheckpointReader, ChunkRef
from recsys.errors import DataError

__all__ = ["Contents", "TensorInfo", "find_all", "find_one", "inspect", "to_checkpoint", "to_torch"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of the model or of the tables' optimiser."""

    name: str
    table: str | None
    is_state: bool
    """Of the optimiser."""
    size: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a checkpoint."""

    folder: Path
    defects: list[str]
    """Why it is not complete."""
    files: int
    bytes: int
    world_size: int | None = None
    """Ranks that wrote it."""
    progress: dict[str, Any] = field(default_factory=dict)
    """As `callbacks.Progress`."""
    tensors: list[TensorInfo] = field(default_factory=list)


def find_all(path: Path) -> list[Path]:
    """Return the folders of checkpoints that a path means: `last` and `best` of a run, or itself.

    Raises:
        DataError: it is neither a run with checkpoints nor a checkpoint.
    """
    if (path / "config.yaml").exists() or (path / "checkpoints").is_dir():
        found = [checkpoint.find(path / "checkpoints" / name) for name in ("last", "best")]
        if not any(found):
            raise DataError(f"{path}: the run has no complete checkpoint yet")
        return [folder for folder in found if folder is not None]
    if (complete := checkpoint.find(path)) is not None:
        return [complete]
    if not path.is_dir() or not any(path.glob("*.distcp")):
        raise DataError(f"{path}: neither the folder of a run nor that of a checkpoint")
    return [path]


def find_one(path: Path) -> Path:
    """Return the folder of the complete checkpoint that a path means; of a run, its best.

    Raises:
        DataError: there is none.
    """
    found = find_all(path)[-1]
    if checkpoint.find(found) is None:
        raise DataError(f"{found}: the checkpoint is not complete; see `recsys checkpoint inspect {found}`")
    return found


def inspect(folder: Path) -> Contents:
    """Look into a checkpoint, which need not be complete, without reading its tables.

    Raises:
        DataError: its list of tensors is damaged.
    """
    sizes = [path.stat().st_size for path in folder.iterdir() if path.is_file()]
    if not (folder / METADATA).exists():
        return Contents(folder, [f"{METADATA} is missing"], len(sizes), sum(sizes))
    stored = CheckpointReader(folder)
    ranks = stored.trainer.get("ranks", [])
    return Contents(
        folder,
        stored.defects(),
        len(sizes),
        sum(sizes),
        world_size=len(ranks) or None,
        progress=stored.trainer.get("extra", {}).get("progress", {}),
        tensors=[_info(name, *stored.kinds[name]) for name in sorted(stored.places)],
    )


def _info(name: str, size: tuple[int, ...], dtype: torch.dtype) -> TensorInfo:
    size_in_bytes = torch.Size(size).numel() * dtype.itemsize
    text = str(dtype).removeprefix("torch.")
    return TensorInfo(readable(name), table_of(name), name.startswith("sparse."), size, text, size_in_bytes)


def to_torch(folder: Path, out: Path, only: Sequence[str] = ()) -> list[str]:
    """Write the model as a plain dict, name -> tensor, which `torch.load` reads anywhere; return the names.

    A table's rows are TABLE.weight. The chosen tensors are held in memory.

    Args:
        folder: of the checkpoint.
        out: file.
        only: names or globs of tensors; all of them when empty.

    Raises:
        DataError: the file exists, or there is no such tensor.
    """
    stored = CheckpointReader(folder)
    names = dict(sorted((plain_name(name), name) for name in stored.places if name.startswith("model.")))
    missing = [glob for glob in only if not any(fnmatchcase(name, glob) for name in names)]
    if missing:
        raise DataError(f"{folder}: has no tensor {', '.join(missing)}; it has {', '.join(names)}")
    chosen = [name for name in names if not only or any(fnmatchcase(name, glob) for glob in only)]
    with _new(out) as temporary:
        write_file(temporary, {name: stored.whole(names[name]) for name in chosen})
    return chosen


def to_checkpoint(folder: Path, out: Path) -> None:
    """Write the same checkpoint anew, as one process would: one file of tensors, however many ranks wrote it.

    Reads piece by piece.

    Args:
        folder: of the checkpoint.
        out: folder of the new one.

    Raises:
        DataError: the folder exists, or the checkpoint is damaged.
    """
    with _new(out) as temporary:
        planner = _Copy(CheckpointReader(folder))
        try:
            state_dict_saver.save({}, storage_writer=ChunkWriter(temporary), planner=planner, no_dist=True)
        except CheckpointException as error:
            raise next(cause for cause, _ in error.failures.values()) from error
        shutil.copyfile(folder / TRAINER, temporary / TRAINER)


class _Copy(DefaultSavePlanner):
    """Writes the pieces of a checkpoint as they are; each is read when it is written."""

    def __init__(self, source: CheckpointReader) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self.source = source
        self.by_index: dict[tuple[str, tuple[int, ...]], ChunkRef] = {
            (name, place.offsets): place for name, places in source.places.items() for place in places
        }

    def create_local_plan(self) -> SavePlan:
        items = [
            write_item(name, place.offsets, place.sizes, *self.source.kinds[name])
            for (name, _), place in self.by_index.items()
        ]
        self.plan = SavePlan(items)
        return self.plan

    def lookup_object(self, index: MetadataIndex) -> Tensor:
        return self.source.piece(self.by_index[index.fqn, tuple(index.offset or ())])


def plain_name(name: str) -> str:
    """Return the name of a model's tensor in a plain file.

    >>> plain_name("model.lookup.pooled.embedding_bags.user_table.weight")
    'user_table.weight'
    >>> plain_name("model.tower.head.bias")
    'tower.head.bias'
    """
    table = table_of(name)
    return name.removeprefix("model.") if table is None else f"{table}.weight"


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """Give a name to write to; what was written there gets its own name if nothing fails, else it is removed."""
    if out.exists():
        raise DataError(f"{out}: exists already")
    temporary = checkpoint.sibling(out, "tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.rename(out)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(error.filename or out)) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
