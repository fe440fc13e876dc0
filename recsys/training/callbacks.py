"""What happens after each validation: report, learning rates, early stopping, checkpoints - in this order."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from recsys.config import EarlyStopping, LrReduction
from recsys.training import checkpoint
from recsys.training.task import CtrTask

__all__ = ["Checkpoints", "EpochReport", "Progress", "ReduceLearningRates", "ShowRows", "StopEarly"]


@dataclass
class Progress:
    """How far the run is; shared by the callbacks and saved with every checkpoint."""

    epoch: int = 0
    """Epoch that is under way, from 0."""
    batch: int = 0
    """Batches of it that are done."""
    step: int = 0
    """Batches done since the beginning."""
    train_seconds: float = 0.0
    """Spent in training batches, over all sessions of the run."""
    train_rows: int = 0
    best_epoch: int = 0
    """Epoch of the best checkpoint, from 1; 0 when there is none."""
    best: float | None = None
    """The watched metric in that epoch."""
    waited: int = 0
    """Epochs since."""
    stage: int = 0
    """Stage of training that is under way, from 0."""
    num_stages: int = 1
    """As the schemes of the tables need."""
    stage_epoch: int = 0
    """Epochs before it."""
    stage_step: int = 0
    """Batches done in it."""
    finished: bool = False
    """Training is over; evaluation may not be."""

    @property
    def in_last_stage(self) -> bool:
        """Whether the tables have the form in which they are served."""
        return self.stage == self.num_stages - 1

    def judge(self, value: float, *, higher_is_better: bool) -> None:
        """Count the metric of one more epoch; NaN is never the best, but the first epoch always is."""
        sign = 1 if higher_is_better else -1
        self.epoch += 1
        self.waited += 1
        is_number = value == value
        if self.best_epoch == 0 or (is_number and (self.best is None or sign * value > sign * self.best)):
            self.best = value if is_number else None
            self.best_epoch = self.epoch
            self.waited = 0


class EpochReport(Callback):
    """Times training, judges every validation, and writes it to metrics.jsonl and as one line to the console."""

    def __init__(self, progress: Progress, path: Path, *, metric: str, say: Callable[[str], None]) -> None:
        self.progress = progress
        self.path = path
        self.metric = metric
        self.say = say
        self.since: float | None = None

    def on_train_batch_start(self, *_: Any) -> None:
        if self.since is None:
            self.since = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, *_: Any) -> None:
        now = time.perf_counter()
        self.progress.batch += 1
        self.progress.step += 1
        self.progress.stage_step += 1
        self.progress.train_rows += batch.num_rows
        self.progress.train_seconds += now - (self.since or now)
        self.since = now

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, CtrTask)
        self.since = None
        metrics = module.valid_metrics
        self.progress.judge(metrics[self.metric], higher_is_better=self.metric != "logloss")
        line = {
            "epoch": self.progress.epoch,
            "step": self.progress.step,
            **({"stage": self.progress.stage + 1} if self.progress.num_stages > 1 else {}),
            "train.loss": module.mean_loss(),
            **{f"valid.{name}": value for name, value in metrics.items()},
            "rows_per_second": self.progress.train_rows / max(self.progress.train_seconds, 1e-9),
            "lr": module.optimizer.param_groups[0]["lr"],
        }
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        gauc = f", GAUC {metrics['gauc']:.5f}" if "gauc" in metrics else ""
        best = " (best)" if self.progress.waited == 0 else ""
        self.say(
            f"epoch {line['epoch']}: training loss {line['train.loss']:.5f}, valid AUC {metrics['auc']:.5f}, "
            f"logloss {metrics['logloss']:.5f}{gauc}, {line['rows_per_second']:,.0f} rows/s{best}"
        )

    def forget_the_future(self) -> None:
        """Drop lines of a former session that a resumed run will write again."""
        if not self.path.exists():
            return
        lines = self.path.read_text().splitlines()
        kept = [line for line in lines if json.loads(line)["epoch"] <= self.progress.epoch]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept))
        temporary.replace(self.path)


class ShowRows(Callback):
    """Tells how many rows of the epoch are done."""

    def __init__(
        self, progress: Progress, num_rows: int, batch_size: int, show: Callable[[str, int, int | None], None]
    ) -> None:
        self.progress = progress
        self.num_rows = num_rows
        self.batch_size = batch_size
        self.show = show

    def on_train_batch_end(self, *_: Any) -> None:
        done = min(self.progress.batch * self.batch_size, self.num_rows)
        self.show(f"epoch {self.progress.epoch + 1}", done, self.num_rows)


class ReduceLearningRates(Callback):
    """Multiplies the learning rates of dense part and tables when the metric stands still."""

    def __init__(self, progress: Progress, config: LrReduction) -> None:
        self.progress = progress
        self.config = config

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, CtrTask)
        if self.progress.waited and self.progress.waited % self.config.patience == 0:
            module.multiply_learning_rates(self.config.factor)


class StopEarly(Callback):
    """Ends training when the metric has not improved for `patience` validations of the last stage."""

    def __init__(self, progress: Progress, config: EarlyStopping) -> None:
        self.progress = progress
        self.config = config

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self.progress.in_last_stage and self.progress.waited >= self.config.patience:
            trainer.should_stop = True


class Checkpoints(Callback):
    """Writes `last` every few minutes and after each epoch, and lets `best` be the `last` of the best epoch."""

    def __init__(self, folder: Path, progress: Progress, *, minutes: float, epochs: int) -> None:
        self.folder = folder
        self.progress = progress
        self.seconds = minutes * 60
        self.epochs = epochs
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        # Not after the last batch of an epoch: there would be nothing left of it to go on with before validation.
        if not trainer.is_last_batch and time.monotonic() - self.saved_at >= self.seconds:
            self._save(module)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, CtrTask)
        self.progress.batch = 0
        self.progress.finished = trainer.should_stop or self.progress.epoch >= self.epochs
        module.forget_losses()
        self._save(module)
        self._keep_best()

    def _save(self, module: LightningModule) -> None:
        assert isinstance(module, CtrTask)
        extra = {
            "progress": vars(self.progress).copy(),
            "losses": module.losses(),
            "table_rates": module.table_rates(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all(),
        }
        checkpoint.save(self.folder / "last", module.model, module.optimizer, extra)
        self.saved_at = time.monotonic()

    def _keep_best(self) -> None:
        if self.progress.batch == 0 and self.progress.best_epoch == self.progress.epoch:
            checkpoint.copy(self.folder / "last", self.folder / "best")

    def restore(self, module: CtrTask) -> None:
        """Go back to the last checkpoint: model, optimisers, random state, place in the data."""
        extra = checkpoint.load(self.folder / "last", module.model, module.optimizer)
        vars(self.progress).update(extra["progress"])
        module.set_losses(extra["losses"])
        module.set_table_rates(extra["table_rates"])
        torch.set_rng_state(extra["random"])
        if extra["random_cuda"]:
            torch.cuda.set_rng_state_all(extra["random_cuda"])
        self._keep_best()  # the kill may have come between the two
