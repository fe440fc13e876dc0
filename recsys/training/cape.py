"""Calibrated targets: Liu et al., "Deep Probability Estimation" (CaPE), ICML 2022.

A network that goes on learning labels ends up sure of what is only likely. So the first stage of training ends at its
best epoch; from there on, one epoch in a few learns how often rows with such a prediction are positive, not the labels.

DIFF: the optimizers are those of the configuration, where the paper has SGD with momentum for the second stage; the
best epoch may be one of the first stage, so that a second stage which is of no use does no harm.

Dimension key: R rows of the training split, in its order; T tasks.
"""

from pathlib import Path
from typing import ClassVar, assert_never

import numpy as np
import numpy.typing as npt

from recsys.checksums import read_verified, recording
from recsys.config.cape import BinTargets, KernelTargets
from recsys.errors import DataError
from recsys.files import atomic_path
from recsys.losses import build_loss
from recsys.ranks import broadcast
from recsys.training.build import read_split
from recsys.training.schedule import Schedule, ScheduleContext
from recsys.training.scoring import Scores, score
from recsys.training.stages import StagedSchedule

__all__ = ["CapeSchedule", "bin_targets", "kernel_targets", "make_schedule"]

Floats = npt.NDArray[np.float64]
_FILE = "targets"


def make_schedule(context: ScheduleContext) -> Schedule:
    """Return the schedule that the configuration asks for."""
    calibrated = context.loaded.resolved.config.train.calibrated
    return StagedSchedule(context) if calibrated is None else CapeSchedule(context, calibrated)


class CapeSchedule(StagedSchedule):
    """Trains until early stopping as usual, then from the best epoch on with epochs of calibrated targets in between.

    The targets of an epoch lie beside the checkpoints, for a session that goes on in the middle of it: the model that
    they were made with is gone by then.

    Args:
        context: What it works with.
        calibrated: The kind of targets, and how often they are learned.
    """

    keeps_best: ClassVar[bool] = True

    def __init__(self, context: ScheduleContext, calibrated: BinTargets | KernelTargets) -> None:
        super().__init__(context)
        self.calibrated = calibrated
        self.folder = context.checkpoints.last.parent
        context.progress.num_stages = 2  # `recsys.config.check` refuses tables with stages of their own

    def _describe_stage(self) -> str:
        return f"one epoch in {self.calibrated.every} learns the frequencies of {self.calibrated.targets}"

    def targets(self) -> npt.NDArray[np.float32] | None:
        """Return the targets of the epoch that begins or goes on, (R, T); None if it learns labels.

        Raises:
            DataError: The run goes on in the middle of an epoch, and the file of its targets is missing or damaged.
        """
        progress = self.context.progress
        is_calibrated = (progress.epoch - progress.stage_epoch) % self.calibrated.every == 0
        if not progress.in_last_stage or not is_calibrated:
            self._forget()
            return None
        path = self.folder / f"{_FILE}-{progress.epoch + 1}.f32"
        if progress.batch == 0:
            self._forget()
            self._write(path)
            broadcast(None)  # the others wait for the file
        shape = (-1, len(self.context.loaded.resolved.config.labels))
        return np.frombuffer(_read(path), np.float32).reshape(shape)

    def finish(self) -> None:
        """Remove the targets of the last epoch."""
        self._forget()

    def _forget(self) -> None:
        """Remove the targets of a former epoch, when a checkpoint that does not need them is complete."""
        found = list(self.folder.glob(f"{_FILE}-*.f32"))
        if broadcast(bool(found)):
            self.context.checkpoints.wait()
            for path in found if self.context.loaded.world.is_rank_zero else ():
                path.unlink(missing_ok=True)

    def _write(self, path: Path) -> None:
        """Score the training rows, and write their targets on rank 0; every rank must call it."""
        context, loaded = self.context, self.context.loaded
        context.task.pipeline.end()
        # Not corrected: targets are frequencies among the rows that are left, as these probabilities are
        link = build_loss(self.config.loss).link()
        scores = score(loaded.model, read_split(loaded, context.splits["train"]), link=link)
        if scores is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with recording(path), atomic_path(path) as temporary:
                temporary.write_bytes(_targets_of(scores, self.calibrated).tobytes())


def _read(path: Path) -> bytes:
    remedy = "the epoch cannot be resumed without it: train the run again"
    try:
        return read_verified(path, remedy=remedy)
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing; {remedy}") from error


def _targets_of(scores: Scores, calibrated: BinTargets | KernelTargets) -> npt.NDArray[np.float32]:
    """Return the targets of all tasks, (R, T)."""
    weight = None if scores.weights is None else scores.weights.astype(np.float64)
    columns = []
    for score_R, label_R in zip(scores.probabilities.T, scores.labels.T.astype(np.float64), strict=True):
        match calibrated:
            case BinTargets():
                columns.append(bin_targets(score_R, label_R, weight, bins=calibrated.bins))
            case KernelTargets():
                width, window = calibrated.width, calibrated.window
                columns.append(kernel_targets(score_R, label_R, weight, width=width, window=window))
            case _:
                assert_never(calibrated)
    return np.stack(columns, axis=1).astype(np.float32)


def bin_targets(score: Floats, label: Floats, weight: Floats | None = None, *, bins: int) -> Floats:
    """Return for each row the mean label of its bin; bins have equally many rows with neighbouring scores.

    Args:
        score: (R,) predictions; only their order counts. Rows of equal scores stay in their order.
        label: (R,) between 0 and 1.
        weight: (R,) weights of the rows; None counts each row once.
        bins: number of bins; some are empty if there are fewer rows.

    Example:
        >>> bin_targets(np.array([0.1, 0.4, 0.2, 0.3]), np.array([0.0, 1.0, 1.0, 1.0]), bins=2).tolist()
        [0.5, 1.0, 0.5, 1.0]
    """
    order = np.argsort(score, kind="stable")
    starts = np.unique(np.arange(bins) * len(score) // bins)
    starts = starts[starts < len(score)]
    means = _means(*(np.add.reduceat(sums[order], starts) for sums in _sums(label, weight)))
    targets = np.empty(len(score))
    targets[order] = np.repeat(means, np.diff(np.append(starts, len(score))))
    return targets


def kernel_targets(score: Floats, label: Floats, weight: Floats | None = None, *, width: float, window: int) -> Floats:
    """Return for each row the mean label of its neighbours by score, weighted by a Gaussian of the distance.

    Args:
        score: (R,) predicted probabilities.
        label: (R,) between 0 and 1.
        weight: (R,) weights of the rows; None counts each row once.
        width: standard deviation of the Gaussian.
        window: neighbours on each side, by rising score, that count.

    Example:
        >>> kernel_targets(np.array([0.1, 0.9, 0.1]), np.array([0.0, 1.0, 1.0]), width=0.01, window=1).tolist()
        [0.5, 1.0, 0.5]
    """
    order = np.argsort(score, kind="stable")
    sorted_score, (positive, mass) = score[order], (sums[order] for sums in _sums(label, weight))
    total, weights = positive.copy(), mass.copy()
    for distance in range(1, min(window, len(score) - 1) + 1):
        low, high = slice(None, -distance), slice(distance, None)
        near = np.exp(-0.5 * ((sorted_score[high] - sorted_score[low]) / width) ** 2)
        for sums, of_row in ((total, positive), (weights, mass)):
            sums[high] += near * of_row[low]
            sums[low] += near * of_row[high]
    targets = np.empty(len(score))
    targets[order] = _means(total, weights)
    return targets


def _sums(label: Floats, weight: Floats | None) -> tuple[Floats, Floats]:
    """Return the weighted label and the weight of each row."""
    return (label, np.ones(len(label))) if weight is None else (weight * label, weight)


def _means(positive: Floats, mass: Floats) -> Floats:
    """Return mean labels; 0 where nothing weighs anything, which no loss sees."""
    return np.clip(np.divide(positive, mass, out=np.zeros(len(mass)), where=mass > 0), 0.0, 1.0)
