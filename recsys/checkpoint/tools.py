"""Look into a checkpoint, convert it to one plain file, or rewrite it as one process would have written it."""

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

from recsys.checkpoint.folder import TRAINER, find_checkpoint, write_seal
from recsys.checkpoint.metadata import FORMER_METADATA, METADATA, ChunkRef
from recsys.checkpoint.reader import CheckpointReader
from recsys.checkpoint.snapshot import write_file, write_item
from recsys.checkpoint.storage import ChunkWriter
from recsys.checkpoint.tensor_names import plain_name, readable_name, table_of
from recsys.errors import DataError
from recsys.files import atomic_path
from recsys.run_folder import RunFolder

__all__ = ["Contents", "TensorInfo", "find_all", "find_one", "inspect", "to_checkpoint", "to_torch"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of the model or of the tables' optimizer."""

    name: str
    """Name as users call it, such as "table user_table"."""
    table: str | None
    """The physical table it belongs to; None for the dense part."""
    is_state: bool
    """Whether it is state of the tables' optimizer."""
    size: tuple[int, ...]
    """Shape of the tensor."""
    dtype: str
    """Type of the tensor, such as "float32"."""
    bytes: int
    """Size of its values in bytes."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The tensors of a checkpoint, its defects and its progress."""

    folder: Path
    """Folder of the checkpoint."""
    defects: list[str]
    """Reasons why the checkpoint is not complete, one sentence a file; [] if it is."""
    files: int
    """Number of files."""
    bytes: int
    """Size of all files in bytes."""
    world_size: int | None = None
    """Number of ranks that wrote it; None if that is not known."""
    progress: dict[str, Any] = field(default_factory=dict)
    """The progress of training at that time: the fields of `TrainProgress` by name."""
    tensors: list[TensorInfo] = field(default_factory=list)
    """Tensors of the model and of the tables' optimizer, sorted by name."""


def find_all(path: Path) -> list[Path]:
    """Return the folders of the checkpoints that a path means: `last` and `best` of a run, or the path itself.

    Raises:
        DataError: The path is neither a run with checkpoints nor a checkpoint.
    """
    run = RunFolder(path)
    if run.is_run or run.has_checkpoints:
        found = [find_checkpoint(folder) for folder in (run.last_checkpoint, run.best_checkpoint)]
        if not any(found):
            raise DataError(f"{path}: the run has no complete checkpoint yet")
        return [folder for folder in found if folder is not None]
    if (complete := find_checkpoint(path)) is not None:
        return [complete]
    if not path.is_dir() or not any(path.glob("*.distcp")):
        raise DataError(f"{path}: neither the folder of a run nor that of a checkpoint")
    return [path]


def find_one(path: Path) -> Path:
    """Return the folder of the complete checkpoint that a path means; for a run, its best.

    Raises:
        DataError: There is none.
    """
    found = find_all(path)[-1]
    if find_checkpoint(found) is None:
        raise DataError(f"{found}: the checkpoint is not complete; see `recsys checkpoint inspect {found}`")
    return found


def inspect(folder: Path) -> Contents:
    """Return what is in a checkpoint, which need not be complete, without reading its tables.

    Raises:
        DataError: The list of tensors is damaged.
    """
    sizes = [path.stat().st_size for path in folder.iterdir() if path.is_file()]
    if not (folder / METADATA).exists() and not (folder / FORMER_METADATA).exists():
        return Contents(folder, [f"{METADATA} is missing"], len(sizes), sum(sizes))
    reader = CheckpointReader(folder)
    ranks = reader.trainer.get("ranks", [])
    return Contents(
        folder,
        reader.defects(),
        len(sizes),
        sum(sizes),
        world_size=len(ranks) or None,
        progress=reader.trainer.get("extra", {}).get("progress", {}),
        tensors=[_info(name, *reader.specs[name]) for name in sorted(reader.chunks)],
    )


def _info(name: str, size: tuple[int, ...], dtype: torch.dtype) -> TensorInfo:
    size_in_bytes = torch.Size(size).numel() * dtype.itemsize
    text = str(dtype).removeprefix("torch.")
    return TensorInfo(readable_name(name), table_of(name), name.startswith("sparse."), size, text, size_in_bytes)


def to_torch(folder: Path, out: Path, only: Sequence[str] = ()) -> list[str]:
    """Write the model as a plain dict, name -> tensor, which `torch.load` reads anywhere.

    The rows of a table are TABLE.weight. All chosen tensors are held in memory.

    Args:
        folder: Folder of the checkpoint.
        out: New file.
        only: Names or globs of tensors; all tensors if empty.

    Returns:
        The names of the tensors that were written.

    Raises:
        DataError: The file exists already, or no tensor has one of the names.
    """
    reader = CheckpointReader(folder)
    names = dict(sorted((plain_name(name), name) for name in reader.chunks if name.startswith("model.")))
    missing = [glob for glob in only if not any(fnmatchcase(name, glob) for name in names)]
    if missing:
        raise DataError(f"{folder}: has no tensor {', '.join(missing)}; it has {', '.join(names)}")
    chosen = [name for name in names if not only or any(fnmatchcase(name, glob) for glob in only)]
    with _new(out) as temporary:
        write_file(temporary, {name: reader.read_tensor(names[name]) for name in chosen})
    return chosen


def to_checkpoint(folder: Path, out: Path) -> None:
    """Rewrite a checkpoint as one process would have written it: one file of tensors, however many ranks wrote it.

    Chunks are read one at a time.

    Args:
        folder: Folder of the checkpoint.
        out: New folder.

    Raises:
        DataError: The new folder exists already, or the checkpoint is damaged.
    """
    with _new(out) as temporary:
        planner = _CopyPlanner(CheckpointReader(folder))
        temporary.mkdir()
        try:
            state_dict_saver.save({}, storage_writer=ChunkWriter(temporary), planner=planner, no_dist=True)
        except CheckpointException as error:
            raise next(cause for cause, _ in error.failures.values()) from error
        shutil.copyfile(folder / TRAINER, temporary / TRAINER)
        write_seal(temporary)


class _CopyPlanner(DefaultSavePlanner):
    """Writes the chunks of a checkpoint as they are; each is read when it is written."""

    def __init__(self, source: CheckpointReader) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self.source = source
        self.by_index: dict[tuple[str, tuple[int, ...]], ChunkRef] = {
            (name, ref.offsets): ref for name, refs in source.chunks.items() for ref in refs
        }

    def create_local_plan(self) -> SavePlan:
        items = [
            write_item(name, ref.offsets, ref.sizes, *self.source.specs[name])
            for (name, _), ref in self.by_index.items()
        ]
        self.plan = SavePlan(items)
        return self.plan

    def lookup_object(self, index: MetadataIndex) -> Tensor:
        return self.source.read_chunk(self.by_index[index.fqn, tuple(index.offset or ())])


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """Yield a path to write to; it is renamed to `out` at the end, or removed if something fails."""
    if out.exists():
        raise DataError(f"{out}: exists already")
    try:
        with atomic_path(out) as temporary:
            yield temporary
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(error.filename or out)) from error
