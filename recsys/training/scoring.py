"""Scores of a whole split in the order of its rows, and the metrics and the file made from them.

Dimension key: R rows of the split, T tasks.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from pyarrow import parquet
from torch import Tensor, nn

from recsys.calibration import Calibrator
from recsys.embeddings import Batch
from recsys.errors import DataError
from recsys.evaluation.predictions import UNCALIBRATED, Predictions
from recsys.evaluation.summary import evaluate_tasks
from recsys.files import atomic_path
from recsys.progress import OnProgress, no_progress
from recsys.ranks import gather_rows_to_rank_zero, rank_slice

__all__ = ["ScoreCollector", "Scores", "score"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Predictions, with what they are compared with, as numpy arrays."""

    probabilities: np.ndarray
    """(R, T) float64."""
    labels: np.ndarray
    """(R, T) float32."""
    weights: np.ndarray | None
    """(R,) float32; None if rows have no weights."""
    groups: np.ndarray | None
    """(R,) int64; None if rows have no groups."""
    ids: np.ndarray | None = None
    """(R,) int64 ids of the field by which probabilities are calibrated; None if there is none."""
    uncalibrated: np.ndarray | None = None
    """(R, T) float64 probabilities before calibration; None if they are not calibrated."""

    def metrics(self, tasks: list[str], names: Collection[str] | None = None) -> dict[str, float]:
        """Return the metrics of each task as TASK.NAME, and their means over tasks as NAME.

        Args:
            tasks: T names.
            names: the metrics to compute. Default: all.
        """
        return evaluate_tasks(self.predictions(tasks), names=names)

    def predictions(self, tasks: list[str]) -> dict[str, Predictions]:
        """Return the predictions of each task."""
        return {
            task: Predictions(
                self.labels[:, t],
                self.probabilities[:, t],
                self.weights,
                self.groups,
                source=task,
                uncalibrated=None if self.uncalibrated is None else self.uncalibrated[:, t],
            )
            for t, task in enumerate(tasks)
        }

    def calibrated(self, calibrator: Calibrator) -> "Scores":
        """Return the scores with calibrated probabilities."""
        calibrated = calibrator.calibrate(self.probabilities, self.ids)
        return replace(self, probabilities=calibrated, uncalibrated=self.probabilities)

    def write(self, path: Path, tasks: list[str]) -> None:
        """Write label, score, score before calibration, weight and group as parquet, as far as there are any."""
        columns: dict[str, np.ndarray] = {}
        for t, task in enumerate(tasks):
            suffix = "" if len(tasks) == 1 else f".{task}"
            columns[f"label{suffix}"] = self.labels[:, t]
            columns[f"score{suffix}"] = self.probabilities[:, t]
            if self.uncalibrated is not None:
                columns[f"{UNCALIBRATED}{suffix}"] = self.uncalibrated[:, t]
        if self.weights is not None:
            columns["weight"] = self.weights
        if self.groups is not None:
            columns["group"] = self.groups
        with atomic_path(path) as temporary:
            parquet.write_table(pa.table(columns), temporary)


class ScoreCollector:
    """Gathers batches, each rank its part of them, and gives rank 0 the scores of all.

    Args:
        link: of the loss: logits (B, T) -> probabilities (B, T) float64.
        by: field whose ids are gathered, too; None if none is.
    """

    def __init__(self, link: nn.Module, *, by: str | None = None) -> None:
        self._link = link
        self._by = by
        self._parts: list[tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]] = []
        self._batch_rows: list[int] = []

    def add(self, batch: Batch, logits_BT: Tensor) -> None:
        """Keep a batch's scores, which the link makes of its logits."""
        probabilities = self._link(logits_BT.detach().cpu())
        ids = None if self._by is None else batch.ids[self._by]
        weights, groups, ids = (None if given is None else given.cpu() for given in (batch.weights, batch.groups, ids))
        self._parts.append((probabilities, batch.labels.cpu(), weights, groups, ids))
        self._batch_rows.append(batch.batch_rows)

    def finish(self) -> Scores | None:
        """Return everything gathered, in the order of the split's rows; None on other ranks than 0.

        Raises:
            DataError: nothing was.
        """
        if not self._parts:
            raise DataError("there are no rows to evaluate")
        probabilities, labels, *others = (self._gathered(parts) for parts in zip(*self._parts, strict=True))
        if probabilities is None or labels is None:
            return None
        return Scores(probabilities, labels, *others)

    def _gathered(self, parts: Sequence[Tensor | None]) -> np.ndarray | None:
        present = [part for part in parts if part is not None]
        if not present:
            return None
        of_ranks = gather_rows_to_rank_zero(torch.cat(present))
        if of_ranks is None:
            return None
        if len(of_ranks) == 1:
            return np.asarray(of_ranks[0])
        rows = torch.cat(of_ranks)
        joined = torch.empty_like(rows)
        joined[torch.cat([self._places(rank, len(of_ranks)) for rank in range(len(of_ranks))])] = rows
        return np.asarray(joined)

    def _places(self, rank: int, size: int) -> Tensor:
        """Return where in the split the rows of a rank lie, (R_r,)."""
        found, first = [], 0
        for batch_rows in self._batch_rows:
            part = rank_slice(batch_rows, rank, size)
            found.append(torch.arange(first + part.start, first + part.stop))
            first += batch_rows
        return torch.cat(found)


def score(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    link: nn.Module,
    by: str | None = None,
    num_rows: int | None = None,
    on_progress: OnProgress = no_progress,
) -> Scores | None:
    """Score all batches without gradients.

    Args:
        model: returns logits; it is in training mode again afterwards if it was before.
        batches: of one split, in order.
        link: of the loss: logits (B, T) -> probabilities (B, T) float64.
        by: field whose ids are gathered with the scores.
        num_rows: rows of all batches on all ranks, for `on_progress`.
        on_progress: called after each batch.

    Returns:
        The scores of all ranks on rank 0, None on the others.

    Raises:
        DataError: there are no rows.
    """
    collector = ScoreCollector(link, by=by)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    done = 0
    with torch.no_grad():
        for batch in batches:
            collector.add(batch, model(batch.to(device)).logits)
            done += batch.batch_rows
            on_progress("scoring", done, num_rows)
    model.train(was_training)
    return collector.finish()
