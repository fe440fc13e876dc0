"""Scores of the same rows over and over, each time with something else changed of what the tower reads.

    rows --shuffled, in blocks--> vectors of the block, looked up once --for every unit and repeat--> tower --> scores

A feature is permuted within a block. The rows of a block are a random draw of all rows, so this is as good as permuting
it over all of them, and no more than a block is in memory. What is kept are the scores: of as many units at a time as
fit into `MOST_BYTES`.

Dimension key: N rows, B rows of a block, U units, R repeats, T tasks.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recsys.calibration import build_link
from recsys.data.prepared import PreparedSplit
from recsys.embeddings import Batch
from recsys.features.fingerprint import NULL_KEY
from recsys.judging.tower_changes import Places, permute, places_of, take_away
from recsys.judging.units import Unit
from recsys.model import TowerBatch
from recsys.progress import OnProgress, no_progress
from recsys.training.build import EVALUATION_ROWS, LoadedModel
from recsys.training.inspect import tower_batches

__all__ = ["ChangedScores", "Method"]

Method = Literal["permute", "drop"]
"""permute: a row has what another row has; drop: every row has the mean of all, and no history."""
MOST_BYTES = 2**29
"""Memory for the scores that are kept at a time."""

Scores = npt.NDArray[np.float64]
"""Probabilities, (N, T)."""


class ChangedScores:
    """The rows of a split, to be scored with any unit changed; always in the same shuffled order.

    Args:
        loaded: the model.
        split: prepared rows.
        method: what is done to a unit.
        repeats: permutations of each unit.
        seed: seed of the order of the rows and of the permutations, which are the same for every unit.

    Attributes:
        labels: (N, T).
        weights: (N,); None if rows have no weights.
        whole: the scores where nothing is changed.

    Raises:
        DataError: the split has no rows.
    """

    def __init__(
        self, loaded: LoadedModel, split: PreparedSplit, *, method: Method = "permute", repeats: int = 1, seed: int = 0
    ) -> None:
        self.loaded = loaded
        self.split = split
        self.method = method
        self.repeats = repeats if method == "permute" else 1
        self.seed = seed
        self.block_rows = -(-split.num_rows // max(-(-split.num_rows // EVALUATION_ROWS), 1))
        self._link = build_link(loaded.resolved.config)
        self._by = loaded.resolved.config.calibration.by
        self._score_whole()

    def of(self, units: Sequence[Unit], on_progress: OnProgress = no_progress) -> Iterator[tuple[Unit, list[Scores]]]:
        """Yield each unit with the scores of each repeat."""
        bytes_of_unit = 4 * self.repeats * self.labels.size
        size = max(MOST_BYTES // bytes_of_unit, 1)
        done, total = 0, len(units) * self.repeats * self.split.num_rows
        for start in range(0, len(units), size):
            part = units[start : start + size]

            def report(rows: int, done: int = done) -> None:
                on_progress("scoring", done + rows, total)

            logits_URNT = self._logits([places_of(self.loaded, unit.all) for unit in part], report)
            done += len(part) * self.repeats * self.split.num_rows
            for unit, logits_RNT in zip(part, logits_URNT, strict=True):
                yield (
                    unit,
                    [self._probabilities(of, self._ids_of(unit, repeat)) for repeat, of in enumerate(logits_RNT)],
                )

    def sources(self, repeat: int) -> npt.NDArray[np.int64] | None:
        """Return the row that each row has a unit's values from in a repeat, (N,); None if from none in particular."""
        if self.method != "permute":
            return None
        starts = range(0, self.split.num_rows, self.block_rows)
        sizes = [min(self.block_rows, self.split.num_rows - start) for start in starts]
        orders = (self._order(number, repeat, size).numpy() for number, size in enumerate(sizes))
        return np.concatenate([start + order for start, order in zip(starts, orders, strict=True)])

    @torch.no_grad()
    def _score_whole(self) -> None:
        tower = self.loaded.model.module.tower
        logits, labels, weights, ids = [], [], [], []
        for batch, fed in self._blocks():
            logits.append(tower(*fed).cpu())
            labels.append(batch.labels.cpu())
            weights += [] if batch.weights is None else [batch.weights.cpu()]
            ids += [] if self._by is None else [batch.ids[self._by].cpu()]
        self.labels = torch.cat(labels).numpy()
        self.weights = torch.cat(weights).numpy() if weights else None
        self._ids = torch.cat(ids).numpy() if ids else None
        self.whole = self._probabilities(torch.cat(logits), self._ids)

    @torch.no_grad()
    def _logits(self, places: Sequence[Places], report: Callable[[int], None]) -> Tensor:
        """Return the logits for every unit and repeat, (U, R, N, T)."""
        tower = self.loaded.model.module.tower
        found = torch.empty(len(places), self.repeats, *self.labels.shape)
        first = done = 0
        for number, (batch, fed) in enumerate(self._blocks()):
            rows = slice(first, first + batch.num_rows)
            first = rows.stop
            for repeat in range(self.repeats):
                order_B = self._order(number, repeat, batch.num_rows).to(batch.labels.device)
                for unit, of_unit in enumerate(places):
                    found[unit, repeat, rows] = tower(*self._change(fed, of_unit, order_B)).cpu()
                    report(done := done + batch.num_rows)
        return found

    def _blocks(self) -> Iterator[tuple[Batch, TowerBatch]]:
        return tower_batches(self.loaded, self.split, batch_size=self.block_rows, seed=self.seed)

    def _change(self, fed: TowerBatch, places: Places, order_B: Tensor) -> TowerBatch:
        return permute(fed, places, order_B) if self.method == "permute" else take_away(fed, places)

    def _order(self, block: int, repeat: int, num_rows: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng([self.seed, block, repeat]).permutation(num_rows))

    def _ids_of(self, unit: Unit, repeat: int) -> npt.NDArray[np.int64] | None:
        """Return the ids that tell which curve calibrates each row, (N,), where the unit is changed; None if none do.

        A row that knows nothing of the field has the curve of all rows.
        """
        if self._ids is None or self._by is None or self.loaded.resolved.field(self._by).feature not in unit.all:
            return self._ids
        sources = self.sources(repeat)
        return np.full_like(self._ids, NULL_KEY) if sources is None else self._ids[sources]

    def _probabilities(self, logits_NT: Tensor, id_N: npt.NDArray[np.int64] | None) -> Scores:
        scores: Scores = self._link(logits_NT).numpy()
        return scores if self.loaded.calibrator is None else self.loaded.calibrator.calibrate(scores, id_N)
