"""The log of each epoch: one line of metrics.jsonl, and one line for the console."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from recsys.checksums import recording
from recsys.evaluation.metrics import describe_metrics
from recsys.files import naming_errors, to_json, write_atomic
from recsys.run_folder import RunFolder
from recsys.training.progress import TrainProgress

__all__ = ["EpochLog", "describe_epoch", "epoch_figures"]


class EpochLog:
    """The file metrics.jsonl of a run.

    Args:
        path: The file; None on ranks that do not write it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def write(self, figures: Mapping[str, float]) -> None:
        """Append the line of an epoch, whole or not at all.

        Raises:
            OSError: The disk is full.
        """
        if self.path is None:
            return
        line = (to_json(figures) + "\n").encode()
        with recording(self.path), naming_errors(self.path), self.path.open("ab", buffering=0) as file:
            end = file.tell()
            if file.write(line) < len(line):
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def drop_after(self, epoch: int) -> None:
        """Drop the lines of later epochs, which a resumed run will write again, and a line that a kill cut off."""
        if self.path is None or not self.path.exists():
            return
        kept = [figures for figures in RunFolder(self.path.parent).read_epochs() if figures["epoch"] <= epoch]
        with recording(self.path):
            write_atomic(self.path, "".join(to_json(figures) + "\n" for figures in kept))


def epoch_figures(
    progress: TrainProgress, metrics: Mapping[str, float], *, train_loss: float, lr: float
) -> dict[str, float]:
    """Return the line of metrics.jsonl for the epoch that was counted last.

    Args:
        progress: How far the run is.
        metrics: Metrics of the validation split by name.
        train_loss: Mean training loss of the epoch's rows, without penalties.
        lr: Learning rate of the dense part during the epoch.
    """
    return {
        "epoch": progress.epoch,
        "step": progress.step,
        **({"stage": progress.stage + 1} if progress.num_stages > 1 else {}),
        "train.loss": train_loss,
        **{f"valid.{name}": value for name, value in metrics.items()},
        "rows_per_second": progress.rows_per_second,
        "lr": lr,
    }


def describe_epoch(figures: Mapping[str, float], *, is_best: bool) -> str:
    """Return the console's line for the figures of an epoch.

    >>> figures = {"epoch": 2, "train.loss": 0.5, "valid.auc": 0.75, "valid.logloss": 0.5, "rows_per_second": 1e4}
    >>> describe_epoch(figures, is_best=True)
    'epoch 2: training loss 0.50000, valid AUC 0.75000, logloss 0.50000, 10,000 rows/s (best)'
    """
    best = " (best)" if is_best else ""
    return (
        f"epoch {figures['epoch']}: training loss {figures['train.loss']:.5f}, "
        f"valid {describe_metrics(figures, 'valid.')}, {figures['rows_per_second']:,.0f} rows/s{best}"
    )
