"""A task that trains nothing, and a loop around it under Lightning."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from recsys.config import TrainSection
from recsys.ranks import SINGLE_PROCESS, StepSignals
from recsys.ranks.process_group import init_process_group
from recsys.training.checkpoints import RunCheckpoints
from recsys.training.epoch_log import EpochLog
from recsys.training.loop import TrainLoop
from recsys.training.progress import TrainProgress
from recsys.training.schedule import Schedule
from recsys.training.strategy import TorchRecStrategy
from recsys.training.task import CtrTask
from tests.checkpoint.small_model import dense_adam, make

BATCHES = 4
"""Batches of an epoch."""


class TinyTask(CtrTask):
    """Trains nothing; its signals after each step and its validation metrics are given.

    Args:
        signals: After the steps with these numbers, from 1.
        polled: What a single process is told when it asks.
        metrics: Of each validation; by default each is better than the one before.
    """

    def __init__(
        self,
        signals: dict[int, StepSignals] | None = None,
        *,
        polled: StepSignals = StepSignals(),  # noqa: B008
        metrics: Sequence[dict[str, float]] = (),
    ) -> None:
        init_process_group("cpu")
        self.model = make("table_wise")
        self.optimizer = dense_adam(self.model)
        self.world = SINGLE_PROCESS
        self.given = signals or {}
        self.poll_signals = lambda: polled
        self.signals = StepSignals()
        self.metrics = metrics
        self.batch: Any = SimpleNamespace(batch_rows=10)
        self.batch_loss = torch.zeros(())
        self.steps_done = 0
        self.validations = 0
        self.rates = 1.0
        self.factors: list[float] = []
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._rows_seen = 0

    def train_step(self) -> None:
        self.steps_done += 1
        self.signals = self.given.get(self.steps_done, StepSignals())

    def start_validation(self) -> None: ...

    def validate_batch(self, batch: Any) -> None: ...

    def finish_validation(self, compared_by: str) -> dict[str, float]:
        self.validations += 1
        better = {"auc": 0.5 + self.validations / 100, "logloss": 1 - self.validations / 100}
        return self.metrics[self.validations - 1] if self.metrics else better

    def scale_learning_rates(self, factor: float) -> None:
        self.factors.append(factor)

    def multiply_learning_rates(self, factor: float) -> None:
        self.rates *= factor


class Rest:
    """The numbers of the batches that are left of an epoch; without a length, as in a run."""

    def __init__(self, progress: TrainProgress) -> None:
        self.progress = progress

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.progress.batch, BATCHES))


def make_loop(
    folder: Path,
    task: TinyTask,
    *,
    schedule: type[Schedule] = Schedule,
    train: dict[str, Any] | None = None,
    metric: str = "auc",
    log: Any = lambda line: None,
) -> TrainLoop:
    folder.mkdir(exist_ok=True)
    progress = TrainProgress()
    checkpoints = RunCheckpoints(folder, progress, minutes=60, seed=5)
    section = TrainSection.model_validate({"epochs": 2, "early_stopping": None} | (train or {}))
    loaded = SimpleNamespace(resolved=SimpleNamespace(config=SimpleNamespace(train=section)))
    context: Any = SimpleNamespace(loaded=loaded, task=task, progress=progress, checkpoints=checkpoints)
    return TrainLoop(
        task,
        schedule(context),
        section,
        progress=progress,
        checkpoints=checkpoints,
        epoch_log=EpochLog(folder / "metrics.jsonl"),
        metric=metric,
        num_batches=BATCHES,
        num_rows=10 * BATCHES,
        log=log,
    )


def fit(loop: TrainLoop, *callbacks: Callback) -> TrainLoop:
    """Let Lightning run the loop."""
    trainer = Trainer(
        accelerator="cpu",
        strategy=TorchRecStrategy(torch.device("cpu")),
        max_epochs=loop.config.epochs,
        logger=False,
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    trainer.fit(loop, Rest(loop.progress), [0])
    return loop


def saved_progress(folder: Path) -> dict[str, Any]:
    progress: dict[str, Any] = torch.load(folder / "trainer.pt")["extra"]["progress"]
    return progress
