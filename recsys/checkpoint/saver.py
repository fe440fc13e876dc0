"""Writing checkpoints in the background of training, in step on all ranks.

training:    snapshot to CPU memory | next batch | next batch | ...
background:                         | shards of all ranks -> metadata -> trainer.pt -> rename (rank 0)
"""

import concurrent.futures
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch.distributed.checkpoint import state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import SavePlan
from torch.optim import Optimizer
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.checkpoint import folder as files
from recsys.checkpoint.snapshot import ChunkPlanner, TensorChunk, snapshot, tensors_of, write_file
from recsys.checkpoint.storage import ChunkWriter
from recsys.files import replace_folder
from recsys.ranks import World, current_world
from recsys.ranks.process_group import checkpoint_group

__all__ = ["AsyncCheckpointer", "save"]

_SETTLE_SECONDS = 15.0
"""How long a rank that fails waits for its last save; the others wait for it to say why it ends."""
_NETWORK_SECONDS = 60.0
"""How long a file that another host has written may take to appear here."""


class AsyncCheckpointer:
    """Writes checkpoints in the background, one at a time.

    Every rank has one and calls `save` after the same batch.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._running: Future[None] | None = None

    def save(
        self,
        folder: Path,
        model: DistributedModelParallel,
        optimizer: Optimizer,
        extra: dict[str, Any],
        own: dict[str, Any] | None = None,
        *,
        best: Path | None = None,
    ) -> None:
        """Copy everything that the rest of the run depends on, and write it while training goes on.

        Waits for the save before it. A kill at any moment leaves the former checkpoint.

        Args:
            folder: Folder of the checkpoint; replaced when the new one is complete.
            model: The sharded model, with its fused optimizer.
            optimizer: The optimizer of the dense part.
            extra: Plain values and tensors that all ranks share; those of rank 0 are written.
            own: Plain values and tensors of this rank alone.
            best: Another folder that becomes the same checkpoint.

        Raises:
            OSError: The save before could not be written, on this or another rank.
        """
        self.wait()
        world = current_world()
        group = checkpoint_group() or _group_of_one(distributed.group.WORLD)
        tensors = tensors_of(model)
        if model.device.type == "cuda":
            torch.cuda.synchronize()  # rows of tables in host memory come out of their cache
        chunks = snapshot(tensors, world)
        trainer = _copy({"optimizer": optimizer.state_dict(), "extra": extra}) if world.is_rank_zero else {}
        write = _Save(folder, chunks, trainer, _copy(own or {}), best, world, group)
        self._running = self._thread.submit(write.run)

    def wait(self) -> None:
        """Wait until the last save is complete on all ranks.

        Raises:
            OSError: It could not be written, on this or another rank.
        """
        if self._running is None:
            return
        concurrent.futures.wait([self._running])  # Ctrl-C may come out of it: the save is then still to be waited for
        ended, self._running = self._running, None
        ended.result()

    def settle(self) -> None:
        """Wait a few seconds for the last save to end, complete or not; for use when something else has failed."""
        if self._running is not None:
            concurrent.futures.wait([self._running], timeout=_SETTLE_SECONDS)
            self._running = None


@lru_cache(maxsize=1)
def _group_of_one(_everybody: distributed.ProcessGroup | None) -> distributed.ProcessGroup:
    """Return a group for the background thread of a single process."""
    made: distributed.ProcessGroup = distributed.new_group(backend="gloo")
    return made


class _Save(NamedTuple):
    """One save, run in the background."""

    folder: Path
    chunks: list[TensorChunk]
    trainer: dict[str, Any]
    own: dict[str, Any]
    best: Path | None
    world: World
    group: distributed.ProcessGroup

    def run(self) -> None:
        ranks = self._gather_own()
        temporary = files.temporary_path(self.folder)
        writer = _Writer(temporary, lambda: self._complete(temporary, ranks))
        try:
            state_dict_saver.save(
                {}, storage_writer=writer, planner=ChunkPlanner(self.chunks), process_group=self.group
            )
        except CheckpointException as error:  # on all ranks, when none of them writes any more
            if self.world.is_rank_zero:
                shutil.rmtree(temporary, ignore_errors=True)
            raise self._failure(error) from error

    def _gather_own(self) -> list[dict[str, Any]]:
        """Return on rank 0 what each rank has of its own, by rank."""
        found: list[Any] | None = [None] * self.world.size if self.world.is_rank_zero else None
        distributed.gather_object(self.own, found, dst=0, group=self.group)
        return found or []

    def _complete(self, temporary: Path, ranks: list[dict[str, Any]]) -> None:
        """Finish the temporary folder, which has all shards, and publish it; runs on rank 0 only."""
        write_file(temporary / files.TRAINER, self.trainer | {"ranks": ranks})
        files.write_seal(temporary)
        replace_folder(temporary, self.folder)
        if self.best is not None:
            files.link_checkpoint(self.folder, self.best)

    def _failure(self, error: CheckpointException) -> BaseException:
        """Return the error to raise: a failed write names its rank and says what is left."""
        rank, (cause, _) = next(iter(error.failures.items()))
        if not isinstance(cause, OSError):
            return cause
        what = ": ".join(str(word) for word in (cause.filename, cause.strerror or cause) if word)
        where = f" (rank {rank})" if self.world.size > 1 else ""
        is_left = files.find_checkpoint(self.folder) is not None
        left = "the last complete checkpoint is still there" if is_left else "there is no checkpoint in it yet"
        return OSError(cause.errno, f"{what}{where}; {left}", str(self.folder.parent))


class _Writer(ChunkWriter):
    """Writes into a folder that rank 0 empties before, and completes after, all ranks have written."""

    def __init__(self, folder: Path, complete: Callable[[], None]) -> None:
        super().__init__(folder)
        self.complete = complete
        self.is_rank_zero = False

    def set_up_storage_writer(self, is_coordinator: bool, *_args: Any, **_kwargs: Any) -> None:
        self.is_rank_zero = is_coordinator

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        if self.is_rank_zero:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        return plan

    def finish(self, metadata: Metadata, results: list[list[Any]]) -> None:
        _wait_for({self.folder / found.storage_data.file for rank in results for found in rank})
        super().finish(metadata, results)
        self.complete()


def save(folder: Path, model: DistributedModelParallel, optimizer: Optimizer, extra: dict[str, Any]) -> None:
    """Write a checkpoint and wait for it; see `AsyncCheckpointer.save`."""
    saver = AsyncCheckpointer()
    saver.save(folder, model, optimizer, extra)
    saver.wait()


def _wait_for(paths: set[Path]) -> None:
    """Wait until files of other hosts are visible here."""
    deadline = time.monotonic() + _NETWORK_SECONDS
    while missing := [path for path in paths if not path.exists()]:
        if time.monotonic() > deadline:
            raise FileNotFoundError(
                2, "another rank wrote it, but it is not here: all hosts must share the run folder", str(missing[0])
            )
        time.sleep(0.5)


def _copy(value: Any) -> Any:
    """Copy nested dicts and lists; tensors are copied to the CPU."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
