"""The training loop of a run: what happens after each batch, and at the end of each epoch.

Lightning counts batches and epochs and calls this. Callbacks of the user run before the methods here, and observe: the
order among them does not matter, and the only thing they can decide is to stop (`trainer.should_stop = True`).
"""

import math
import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule
from torch.optim import Optimizer

from recsys.config import TrainSection
from recsys.embeddings import Batch
from recsys.evaluation.metrics import METRICS, metric_label
from recsys.progress import OnProgress, no_progress
from recsys.ranks import sum_over_ranks
from recsys.ranks.signals import reinstall_handler
from recsys.training.checkpoints import RunCheckpoints
from recsys.training.epoch_log import EpochLog, describe_epoch, epoch_figures
from recsys.training.progress import TrainProgress
from recsys.training.schedule import Schedule
from recsys.training.task import CtrTask

__all__ = ["TrainLoop"]

LOG_EVERY = 50
"""Steps between two points of the training loss in the event files."""


class TrainLoop(LightningModule):
    """The loop over batches and epochs of one run, as Lightning calls it.

    Args:
        task: The model with its optimizers.
        schedule: Who trains what on which batch.
        config: The training section.
        progress: How far the run is.
        checkpoints: Saves the run.
        epoch_log: Keeps the line of each epoch.
        metric: Registered name of the validation metric by which epochs are compared.
        num_batches: Batches of an epoch.
        num_rows: Rows of the training split, for `on_progress`.
        on_progress: Called with the rows of the epoch that are trained.
        log: Called with one line an epoch.

    Attributes:
        model: The sharded model, which Lightning switches between training and evaluation mode.
        is_preempted: Whether the run was asked to stop, and its last checkpoint is complete.
    """

    def __init__(
        self,
        task: CtrTask,
        schedule: Schedule,
        config: TrainSection,
        *,
        progress: TrainProgress,
        checkpoints: RunCheckpoints,
        epoch_log: EpochLog,
        metric: str,
        num_batches: int,
        num_rows: int,
        on_progress: OnProgress = no_progress,
        log: Callable[[str], None] = print,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.task = task
        self.model = task.model
        self.schedule = schedule
        self.config = config
        self.progress = progress
        self.checkpoints = checkpoints
        self.epoch_log = epoch_log
        self.metric = metric
        self.num_batches = num_batches
        self.num_rows = num_rows
        self.on_progress = on_progress
        self.log_line = log
        self.is_preempted = False
        self._metrics: dict[str, float] = {}
        self._stop_requested = False
        self._lap_start: float | None = None

    def configure_optimizers(self) -> Optimizer:
        return self.task.optimizer

    def on_train_start(self) -> None:
        reinstall_handler()  # Lightning has just put its own handlers of signals in place

    # --- a batch --------------------------------------------------------------------------------------------------

    def on_train_batch_start(self, *_: Any) -> None:
        if self._lap_start is None:
            self._lap_start = time.perf_counter()

    def training_step(self, _number: int, _batch_index: int) -> None:
        num_steps = self.schedule.stage_epochs() * self.num_batches
        factor = self.config.lr_schedule.step_factor(self.progress.stage_step, num_steps)
        if factor is not None:
            self.task.scale_learning_rates(factor)
        self.schedule.train_step()

    def on_train_batch_end(self, *_: Any) -> None:
        self.end_batch()

    def end_batch(self) -> None:
        """Count the batch and report it, then save and stop if a rank was asked to."""
        self.progress.count_batch(self.task.batch.batch_rows, self._lap_seconds())
        self._report_batch()
        self._stop_requested |= self.task.signals.stop
        if self.trainer.is_last_batch:  # there would be nothing left of the epoch to resume with before validation
            return
        if self._stop_requested or self.task.signals.save:
            self._save()
        if self._stop_requested:
            self.trainer.limit_val_batches = 0  # Lightning validates before it stops; the epoch is not over
            self._stop_preempted()

    def _lap_seconds(self) -> float:
        """Return the time since the end of the batch before, or since the start of the first one of an epoch."""
        now = time.perf_counter()
        start = now if self._lap_start is None else self._lap_start
        self._lap_start = now
        return now - start

    def _report_batch(self) -> None:
        done = min(self.progress.batch * self.config.batch_size, self.num_rows)
        self.on_progress(f"epoch {self.progress.epoch + 1}", done, self.num_rows)
        if self.progress.step % LOG_EVERY == 0:
            loss = float(sum_over_ranks(self.task.batch_loss.clone()))
            if self.trainer.logger is not None:
                self.trainer.logger.log_metrics({"train.loss": loss}, self.progress.step)

    # --- an epoch -------------------------------------------------------------------------------------------------

    def on_validation_start(self) -> None:
        self.schedule.before_validation()
        self.task.start_validation()

    def validation_step(self, batch: Batch, _batch_index: int) -> None:
        self.task.validate_batch(batch)

    def on_validation_epoch_end(self) -> None:
        self._metrics = self.task.finish_validation(self.metric)
        self.log_dict({f"valid.{name}": value for name, value in self._metrics.items()})

    def on_validation_end(self) -> None:
        self.end_epoch(self._metrics)

    def end_epoch(self, metrics: dict[str, float]) -> None:
        """Finish an epoch. Everything that happens between two epochs happens here, in this order, on all ranks.

        Args:
            metrics: What the validation of the epoch has just given.
        """
        self.progress.count_epoch()
        self.progress.update_best(metrics[self.metric], higher_is_better=bool(METRICS[self.metric].higher_is_better))
        self._report_epoch(metrics)
        factor = self.config.lr_schedule.epoch_factor(self.progress.epochs_since_best)
        if factor != 1:
            self.task.multiply_learning_rates(factor)
        if self.schedule.is_stage_over():
            self.schedule.start_next_stage()
        if self._should_stop_early() or self.schedule.is_over():
            self.trainer.should_stop = True
        self.progress.finished = self.trainer.should_stop or self.progress.epoch >= self.config.epochs
        self.task.reset_losses()
        self._save()
        self._stop_if_requested()

    def _report_epoch(self, metrics: dict[str, float]) -> None:
        lr = self.task.optimizer.param_groups[0]["lr"]
        figures = epoch_figures(self.progress, metrics, train_loss=self.task.mean_loss(), lr=lr)
        self.epoch_log.write(figures)
        self.log_line(describe_epoch(figures, is_best=self.progress.is_best))
        if math.isnan(metrics[self.metric]):
            label = metric_label(self.metric)
            self.log_line(f"warning: {label} of the validation rows is not defined, so that this epoch is not the best")

    def _should_stop_early(self) -> bool:
        """Return whether the metric has not improved for `patience` epochs of the last stage."""
        stopping, progress = self.config.early_stopping, self.progress
        return stopping is not None and progress.in_last_stage and progress.epochs_since_best >= stopping.patience

    def _stop_if_requested(self) -> None:
        """Stop between two epochs; of several ranks, the next batch tells all of them to."""
        self.checkpoints.restart_clock()
        self._lap_start = None
        is_single_process = self.task.world.size == 1
        if self._stop_requested or (is_single_process and self.task.poll_signals().stop):
            self._stop_preempted()

    # --- the end --------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        self.checkpoints.save(self.task, self.schedule.state_dict())

    def _stop_preempted(self) -> None:
        self.checkpoints.wait()
        self.is_preempted = self.trainer.should_stop = True

    def on_train_end(self) -> None:
        self.checkpoints.wait()
        if self.progress.finished:
            self.schedule.finish()
