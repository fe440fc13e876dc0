"""A checkpoint as versions before checksums wrote it: with torch's own writer, which pickles the list of tensors."""

from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import state_dict_saver
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.checkpoint.snapshot import ChunkPlanner, snapshot, tensors_of, write_file
from recsys.ranks import SINGLE_PROCESS

__all__ = ["save_as_former"]


def save_as_former(
    folder: Path, model: DistributedModelParallel, optimizer: torch.optim.Optimizer, extra: dict[str, Any]
) -> None:
    """Write the files of a former version."""
    chunks = snapshot(tensors_of(model), SINGLE_PROCESS)
    state_dict_saver.save({}, storage_writer=FileSystemWriter(folder), planner=ChunkPlanner(chunks))
    write_file(folder / "trainer.pt", {"optimizer": optimizer.state_dict(), "extra": extra, "ranks": [{"rank": 0}]})
