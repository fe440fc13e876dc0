"""The progress of a run: counters that all ranks hold alike, and that every checkpoint saves."""

import math
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["TrainProgress"]


@dataclass
class TrainProgress:
    """The progress of a run; every rank holds the same."""

    epoch: int = 0
    """Number of finished epochs."""
    batch: int = 0
    """Number of batches of the current epoch that are trained."""
    step: int = 0
    """Number of batches trained since the beginning of the run."""
    train_seconds: float = 0.0
    """Time spent in training batches, over all sessions of the run."""
    train_rows: int = 0
    """Rows trained since the beginning of the run, over all ranks."""
    best_epoch: int = 0
    """Number of the best epoch of the current stage, from 1; 0 if none is finished. As long as the watched metric was a
    number in none, the last one stands in for it."""
    best: float | None = None
    """The watched metric in the best epoch; None if it was a number in none."""
    epochs_since_best: int = 0
    """Number of epochs of the stage since the metric improved; an epoch without a number has not improved it."""
    stage: int = 0
    """Index of the current stage of training, from 0."""
    num_stages: int = 1
    """Number of stages, as the schedule says."""
    stage_epoch: int = 0
    """Number of epochs finished before the current stage."""
    stage_step: int = 0
    """Number of batches trained in the current stage."""
    finished: bool = False
    """Whether training is over; the evaluation of the best epoch may not be."""

    @property
    def in_last_stage(self) -> bool:
        """Whether the tables have the form in which they are served."""
        return self.stage == self.num_stages - 1

    @property
    def is_best(self) -> bool:
        """Whether the metric was a number, and the best of the stage, in the epoch that was counted last."""
        return self.best is not None and self.best_epoch == self.epoch

    @property
    def rows_per_second(self) -> float:
        """Mean rate of training over all sessions of the run."""
        return self.train_rows / max(self.train_seconds, 1e-9)

    def count_batch(self, num_rows: int, seconds: float) -> None:
        """Count a trained batch: its rows over all ranks, and the time it took."""
        self.batch += 1
        self.step += 1
        self.stage_step += 1
        self.train_rows += num_rows
        self.train_seconds += seconds

    def count_epoch(self) -> None:
        """Count a finished epoch."""
        self.epoch += 1
        self.batch = 0

    def update_best(self, value: float, *, higher_is_better: bool) -> None:
        """Compare the epoch that was counted last with the best one.

        The best epoch, early stopping and the reduction of learning rates all go by what is decided here.

        Args:
            value: The watched metric of the epoch on the validation split. NaN is never the best.
            higher_is_better: Whether larger values are better.
        """
        sign = 1 if higher_is_better else -1
        self.epochs_since_best += 1
        if math.isnan(value):
            self.best_epoch = self.epoch if self.best is None else self.best_epoch
        elif self.best is None or sign * value > sign * self.best:
            self.best, self.best_epoch, self.epochs_since_best = value, self.epoch, 0

    def start_next_stage(self, *, keep_best: bool = False) -> None:
        """Count a new stage; the best epoch of the run is one of its last stage.

        Args:
            keep_best: Whether the best epoch so far is one of the new stage too: its model has the same form.
        """
        self.stage += 1
        self.stage_epoch, self.stage_step, self.epochs_since_best = self.epoch, 0, 0
        if not keep_best:
            self.best_epoch, self.best = 0, None

    def state_dict(self) -> dict[str, Any]:
        """Return all counters by name."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the counters of a checkpoint."""
        for name, value in state.items():
            setattr(self, {"waited": "epochs_since_best"}.get(name, name), value)  # "waited": runs before 0.2
