"""Runs that are interrupted at a given moment, and the comparison with one that was not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from recsys.checkpoint.load import load_checkpoint
from recsys.config import Config
from recsys.training.build import load_run
from recsys.training.checkpoints import RunCheckpoints
from recsys.training.loop import TrainLoop
from recsys.training.run import TrainResult
from recsys.training.strategy import table_weights
from tests.training.logs import epochs, make_config, predictions, run, steady

STEPS = 13
"""Batches of an epoch of the log."""
OFTEN: dict[str, Any] = {"checkpoint_minutes": 0.0, "lr_schedule": {"name": "plateau", "factor": 0.5}}
"""A checkpoint after every batch."""


@pytest.fixture(scope="module")
def often(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A checkpoint after every batch."""
    return make_config(tmp_path_factory.mktemp("often"), train=OFTEN)


@pytest.fixture(scope="module")
def rarely(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A checkpoint after every epoch."""
    return make_config(tmp_path_factory.mktemp("rarely"), train=OFTEN | {"checkpoint_minutes": 60.0})


@pytest.fixture(scope="module")
def whole(log: Path, often: Config, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The run that nobody stopped."""
    return run(log, tmp_path_factory.mktemp("runs") / "whole", often)


class Stop(Exception):  # noqa: N818
    """Ends a training."""


@contextmanager
def interrupted(owner: type, name: str, replacement: Any) -> Iterator[None]:
    """Replace a method by one that raises `Stop`, and expect that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, replacement)
        with pytest.raises(Stop):
            yield


@contextmanager
def interrupted_in_batch(step: int, *, is_saved: bool = False) -> Iterator[None]:
    """Raise in the batch with this number, from 1 over all epochs, before or after its checkpoint."""
    original = TrainLoop.end_batch

    def end_batch(self: TrainLoop) -> None:
        number = self.progress.step + 1
        if is_saved:
            original(self)
        if number >= step:
            raise Stop
        if not is_saved:
            original(self)

    with interrupted(TrainLoop, "end_batch", end_batch):
        yield


@contextmanager
def interrupted_in_validation(epoch: int) -> Iterator[None]:
    """Raise at the start of the validation of an epoch."""
    original = TrainLoop.on_validation_start

    def on_validation_start(self: TrainLoop) -> None:
        if self.progress.epoch + 1 == epoch:
            raise Stop
        original(self)

    with interrupted(TrainLoop, "on_validation_start", on_validation_start):
        yield


@contextmanager
def interrupted_at_save(stage: int, *, is_saved: bool) -> Iterator[None]:
    """Raise before or after the first checkpoint of a stage."""
    original = RunCheckpoints.save

    def save(self: RunCheckpoints, *arguments: Any) -> None:
        is_stage = self.progress.stage == stage
        if is_stage and not is_saved:
            raise Stop
        original(self, *arguments)
        if is_stage:
            raise Stop

    with interrupted(RunCheckpoints, "save", save):
        yield


def raise_at_line(start: str) -> Any:
    """Return a `log` that raises at the line that starts so."""

    def log(line: str) -> None:
        if line.startswith(start):
            raise Stop

    return log


def check_resumed(step: int, config: Config, whole: TrainResult, log: Path, folder: Path, **options: Any) -> None:
    """Stop a run in a batch, resume it, and compare it with one that nobody stopped.

    Args:
        step: number of the batch.
        config: configuration of both runs.
        whole: the run that nobody stopped.
        log: data of both runs.
        folder: of the run that is stopped.
        options: others of `interrupted_in_batch`.
    """
    with interrupted_in_batch(step, **options):
        run(log, folder, config)
    resumed = run(log, folder, config, resume=True)
    assert steady(resumed.metrics) == steady(whole.metrics)
    check_same(folder, whole.folder)


def check_same(resumed: Path, whole: Path) -> None:
    """Compare everything of two runs that does not depend on the clock."""
    for split in ("test", "valid"):
        assert predictions(resumed, split).equals(predictions(whole, split))
    assert [timeless(line) for line in epochs(resumed)] == [timeless(line) for line in epochs(whole)]


def parameters(folder: Path, which: str) -> dict[str, torch.Tensor]:
    """Return copies of all tables, of what their schemes keep beside, and of the dense parameters of a checkpoint."""
    built = load_run(folder, device=torch.device("cpu"))
    load_checkpoint(folder / "checkpoints" / which, built.model)
    found = table_weights(built.model) | dict(built.model.module.dense_arch.state_dict())
    return {name: value.detach().clone() for name, value in found.items()}


def same_parameters(resumed: Path, whole: Path) -> None:
    """Compare the last checkpoints of two runs."""
    found, expected = parameters(resumed, "last"), parameters(whole, "last")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def timeless(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "rows_per_second"}
