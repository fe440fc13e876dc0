"""What happens after each validation: report, learning rates, early stopping, checkpoints - in this order."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from recsys.checkpoint.folder import link_checkpoint
from recsys.checkpoint.load import LoadedState, load_checkpoint
from recsys.checkpoint.saver import AsyncCheckpointer
from recsys.checkpoint.snapshot import table_step
from recsys.config import EarlyStopping, LrReduction
from recsys.files import write_atomic
from recsys.progress import OnProgress
from recsys.ranks import World, current_world, sum_over_ranks
from recsys.ranks.seeds import derive_seed
from recsys.training.task import CtrTask

LOG_EVERY = 50
"""Steps between two points of the training loss in the event files."""

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
    """Times training, judges every validation, and writes it to metrics.jsonl and as one line to the console.

    Args:
        progress: of the run; judged on all ranks alike.
        path: of metrics.jsonl; None on other ranks than 0.
        metric: by which epochs are judged.
        say: told the line.
    """

    def __init__(self, progress: Progress, path: Path | None, *, metric: str, say: Callable[[str], None]) -> None:
        self.progress = progress
        self.path = path
        self.metric = metric
        self.say = say
        self.since: float | None = None

    def on_train_batch_start(self, *_: Any) -> None:
        if self.since is None:
            self.since = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        assert isinstance(module, CtrTask)
        now = time.perf_counter()
        self.progress.batch += 1
        self.progress.step += 1
        self.progress.stage_step += 1
        self.progress.train_rows += module.batch.batch_rows
        self.progress.train_seconds += now - (self.since or now)
        self.since = now
        if self.progress.step % LOG_EVERY == 0:
            loss = float(sum_over_ranks(module.batch_loss.clone()))
            if trainer.logger is not None:
                trainer.logger.log_metrics({"train.loss": loss}, self.progress.step)

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
        if self.path is not None:
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
        if self.path is None or not self.path.exists():
            return
        lines = self.path.read_text().splitlines()
        kept = [line for line in lines if json.loads(line)["epoch"] <= self.progress.epoch]
        write_atomic(self.path, "".join(f"{line}\n" for line in kept))


class ShowRows(Callback):
    """Tells how many rows of the epoch are done."""

    def __init__(self, progress: Progress, num_rows: int, batch_size: int, on_progress: OnProgress) -> None:
        self.progress = progress
        self.num_rows = num_rows
        self.batch_size = batch_size
        self.on_progress = on_progress

    def on_train_batch_end(self, *_: Any) -> None:
        done = min(self.progress.batch * self.batch_size, self.num_rows)
        self.on_progress(f"epoch {self.progress.epoch + 1}", done, self.num_rows)


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
    """Writes `last` when the ranks are told to and after each epoch, and lets `best` be the `last` of the best epoch.

    Saving goes on beside training. All ranks save and stop after the same batch, since they were told so with it.

    Args:
        folder: of the checkpoints.
        progress: of the run; rank 0's is saved.
        minutes: between two checkpoints within an epoch.
        epochs: of the run.
        seed: of the run.
        saver: that writes.

    Attributes:
        stopped: the run was told to stop, and its last checkpoint is complete.
    """

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        *,
        minutes: float,
        epochs: int,
        seed: int = 0,
        saver: AsyncCheckpointer | None = None,
    ) -> None:
        self.folder = folder
        self.progress = progress
        self.seconds = minutes * 60
        self.epochs = epochs
        self.seed = seed
        self.saver = saver or AsyncCheckpointer()
        self.stopped = False
        self._told_to_stop = False
        self._since = time.monotonic()

    def due(self) -> bool:
        """Tell whether it is time for a checkpoint; the clock then starts anew. One rank asks, and tells all."""
        is_due = time.monotonic() - self._since >= self.seconds
        if is_due:
            self._since = time.monotonic()
        return is_due

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        assert isinstance(module, CtrTask)
        self._told_to_stop |= module.signals.stop
        if trainer.is_last_batch:  # there would be nothing left of the epoch to go on with before validation
            return
        if self._told_to_stop or module.signals.save:
            self._save(module)
        if self._told_to_stop:
            self._stop(trainer)
            trainer.limit_val_batches = 0  # Lightning validates before it stops; the epoch is not over

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, CtrTask)
        self.progress.batch = 0
        self.progress.finished = trainer.should_stop or self.progress.epoch >= self.epochs
        module.forget_losses()
        self._save(module)
        self._since = time.monotonic()
        alone = current_world().size == 1  # else the next batch tells
        if self._told_to_stop or (alone and module.poll_signals().stop):
            self._stop(trainer)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.wait()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Let a save that has begun come to its end, whatever has happened to training."""
        self.saver.settle()

    def wait(self) -> None:
        """Wait until `last` and `best` are complete on all ranks; before anybody reads them.

        Raises:
            OSError: they could not be written.
        """
        self.saver.wait()

    def _stop(self, trainer: Trainer) -> None:
        self.wait()
        self.stopped = trainer.should_stop = True

    def _save(self, module: CtrTask) -> None:
        own = {
            "losses": module.losses(),
            "table_rates": module.table_rates(),
            "table_step": table_step(module.model),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if module.model.device.type == "cuda" else None,
        }
        extra = {"progress": vars(self.progress).copy()}
        best = self.folder / "best" if self._is_best() else None
        self.saver.save(self.folder / "last", module.model, module.optimizer, extra, own, best=best)

    def _is_best(self) -> bool:
        return self.progress.batch == 0 and self.progress.best_epoch == self.progress.epoch

    def restore(self, module: CtrTask) -> None:
        """Go back to the last checkpoint: model, optimisers, random state, place in the data.

        At another world size than that of the checkpoint, every rank seeds itself from the run's seed and the step.
        """
        self.wait()
        loaded = load_checkpoint(self.folder / "last", module.model, module.optimizer)
        vars(self.progress).update(loaded.extra["progress"])
        self._set_rates(module, loaded)
        module.model.fused_optimizer.set_optimizer_step(max(own["table_step"] for own in loaded.ranks))
        world = current_world()
        sums = {name: sum(own["losses"][name] for own in loaded.ranks) for name in ("sum", "rows")}
        module.set_losses(sums if world.is_rank_zero else dict.fromkeys(sums, 0.0))
        self._set_random(loaded, world)
        if world.is_rank_zero and self._is_best():  # the kill may have come between the two
            link_checkpoint(self.folder / "last", self.folder / "best")

    def go_back_to_best(self, module: CtrTask) -> None:
        """Take up the model, the optimisers and the learning rates of the best epoch."""
        self.wait()
        self._set_rates(module, load_checkpoint(self.folder / "best", module.model, module.optimizer))

    def _set_rates(self, module: CtrTask, loaded: LoadedState) -> None:
        """Set the learning rate of the tables, which is the same for all; a rank that had no table saved none."""
        rates = [rate for own in loaded.ranks for rate in own["table_rates"]]
        module.set_table_rates(rates[:1] * len(module.table_rates()))

    def _set_random(self, loaded: LoadedState, world: World) -> None:
        if len(loaded.ranks) != world.size:
            torch.manual_seed(derive_seed(self.seed, "resumed", self.progress.step, world.rank))
            return
        own = loaded.ranks[world.rank]
        torch.set_rng_state(own["random"])
        if own["random_cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(own["random_cuda"])
