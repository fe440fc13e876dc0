"""Sessions of a run, each on its own number of ranks and with its own sharding."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from recsys.ranks import current_world
from recsys.ranks.signals import Preempted
from recsys.training import fit
from recsys.training.run import train
from recsys.training.task import CtrTask
from tests.training.logs import make_config


class Session(NamedTuple):
    """What one rank did."""

    metrics: dict[str, float] | None
    """None if the session was stopped."""
    seen: list[list[float]]
    """Of each batch the weights of this rank's rows, by which rows are known."""


def session(
    log: Path, folder: Path, scratch: Path, changes: dict[str, Any], stop_after: int | None, resume: bool
) -> Session:
    """Train, as one rank of those there are, until a SIGTERM seems to come with a batch."""
    world = current_world()
    seen: list[list[float]] = []
    batches_made = 0
    train_step = CtrTask.train_step

    def watch(task: CtrTask) -> None:
        train_step(task)
        assert task.batch.weights is not None
        seen.append(task.batch.weights.tolist())

    def stop_requested() -> bool:
        nonlocal batches_made
        batches_made += 1
        return stop_after is not None and batches_made >= stop_after

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "stop_requested", stop_requested)
        patch.setattr(CtrTask, "train_step", watch)
        config = make_config(scratch / f"config-{world.rank}", **changes)
        try:
            trained = train(
                config,
                data_dir=log,
                cache_dir=log / "cache",
                folder=folder,
                resume=resume,
                device="cpu",
                world=world,
                log=lambda line: None,
            )
        except Preempted:
            return Session(None, seen)
    return Session(trained.metrics, seen)
