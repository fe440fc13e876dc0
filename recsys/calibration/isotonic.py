"""Isotonic regression: the increasing curve that fits the labels best.

Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002.

DIFF: lines join the means of the blocks, where the paper has a step for each block. A step would make all scores of a
block equal, and so change AUC; this curve rises strictly, from (0, 0) to (1, 1), and changes no ranking metric at all.

Dimension key: B rows, K blocks of rows, P points of all curves.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recsys.calibration.base import Calibration, Curve, Floats
from recsys.config.calibrations.isotonic import IsotonicSection
from recsys.evaluation.arrays import check
from recsys.evaluation.ties import tie_runs

__all__ = ["Isotonic"]

STEEPEST = 1.0
"""Largest rise of the curve for one unit of log-odds; a calibrated model has 1/4 at most. Blocks with a steeper rise
between them are merged: it is noise of a few rows, and would turn the rounding of a logit into a difference that shows.
"""
SHRINKS = 0.9
"""Passes over all blocks go on while one leaves fewer than this share of them."""


class Isotonic(Calibration):
    """The increasing curve through the mean score and the mean label of blocks of neighbouring scores.

    Blocks are those of the pool-adjacent-violators algorithm. One at an end whose labels are all equal takes the
    mean label of Laplace's rule of succession, (P + 1) / (n + 2), so that nothing is certain; or one half as far from 0
    or 1 as its neighbour's, if that is less.

    Example:
        >>> calibration = Isotonic(IsotonicSection(method="isotonic"))
        >>> curve = calibration.fit(np.array([0.2, 0.2, 0.4, 0.4]), np.array([0.0, 1.0, 1.0, 0.0]), None)
        >>> curve["scores"].tolist(), curve["values"].tolist()  # one block: mean score .3, mean label .5
        ([0.0, 0.30000000000000004, 1.0], [0.0, 0.5, 1.0])
        >>> calibration.set_curves([curve])
        >>> calibration(torch.tensor([0.15, 0.3], dtype=torch.float64), torch.tensor([0, 0]))
        tensor([0.2500, 0.5000], dtype=torch.float64)
    """

    section = IsotonicSection
    identity: ClassVar[Mapping[str, Sequence[float]]] = {"scores": (0.0, 1.0), "values": (0.0, 1.0)}

    scores: Tensor
    values: Tensor
    all_scores: Tensor
    """(P,) the scores of all curves, ascending."""
    ranks: Tensor
    """(P,) int64, ascending: of each point the number of scores in `all_scores` up to its own, and P + 1 more for each
    curve before its own."""

    def set_curves(self, curves: Sequence[Curve]) -> None:
        """Take the points of curves, and rank them."""
        super().set_curves(curves)
        all_scores = self.scores.sort().values
        of_curve = torch.repeat_interleave(torch.arange(len(curves)), self.starts.diff())
        ranks = torch.searchsorted(all_scores, self.scores, right=True) + of_curve * (len(all_scores) + 1)
        self.register_buffer("all_scores", all_scores)
        self.register_buffer("ranks", ranks)

    def fit(self, probability: Floats, label: Floats, weight: Floats | None) -> Curve:
        """Pool neighbouring scores until their mean labels rise."""
        ties = tie_runs(check(probability, label, weight))
        mass = (ties.positive + ties.negative).astype(np.float64)
        found = _Blocks(mass, mass * ties.score, ties.positive.astype(np.float64)).take(mass > 0)
        blocks = _merge(_pool(found))
        values = _less_certain(blocks, rows_of_mass=len(label) / float(mass.sum()))
        scores = blocks.scores()
        first, last = scores[:1] > 0, scores[-1:] < 1
        return {
            "scores": np.concatenate([np.zeros(1)[first], scores, np.ones(1)[last]]),
            "values": np.concatenate([np.zeros(1)[first], values, np.ones(1)[last]]),
        }

    def forward(self, probability: Tensor, curve: Tensor) -> Tensor:
        """Draw a line between the points of the row's curve to its left and right.

        Which these are is told by integers, so that one search finds them in all curves at once: how many scores of
        any curve are not above the row's says which of its own curve are.
        """
        # torch.searchsorted wants rows that lie one behind the other; a column of several tasks does not
        rank = torch.searchsorted(self.all_scores, probability.contiguous(), right=True)
        rank = rank + curve * (self.all_scores.numel() + 1)
        right = torch.searchsorted(self.ranks, rank, right=True)
        right = torch.minimum(torch.maximum(right, self.starts[curve] + 1), self.starts[curve + 1] - 1)
        start, end = self.scores[right - 1], self.scores[right]
        return torch.lerp(self.values[right - 1], self.values[right], (probability - start) / (end - start))


class _Blocks(NamedTuple):
    """Blocks of neighbouring scores, by rising score."""

    mass: Floats
    """(K,) sum of weights, above 0."""
    score: Floats
    """(K,) weighted sum of scores."""
    positive: Floats
    """(K,) weighted sum of labels."""

    def take(self, is_taken: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> "_Blocks":
        return _Blocks(*(sums[is_taken] for sums in self))

    def values(self) -> Floats:
        """Return the mean labels."""
        return self.positive / self.mass

    def scores(self) -> Floats:
        """Return the mean scores."""
        return np.clip(self.score / self.mass, 0.0, 1.0)


def _pool(blocks: _Blocks) -> _Blocks:
    """Pool all runs of falling mean labels at once, again and again as long as that leaves clearly fewer blocks."""
    while True:
        values = blocks.values()
        starts = np.flatnonzero(np.concatenate([[True], values[1:] > values[:-1]]))
        pooled = _Blocks(*(np.add.reduceat(sums, starts) for sums in blocks))
        if len(starts) > SHRINKS * len(values):
            return pooled
        blocks = pooled


def _merge(blocks: _Blocks) -> _Blocks:
    """Merge neighbours, one by one, of which the second is no higher than the first, or too much so."""
    done: list[tuple[float, float, float]] = []
    for block in zip(*(sums.tolist() for sums in blocks), strict=True):
        mass, score, positive = block
        while done and not _may_follow(done[-1], (mass, score, positive)):
            before = done.pop()
            mass, score, positive = mass + before[0], score + before[1], positive + before[2]
        done.append((mass, score, positive))
    return _Blocks(*np.array(done).T)


def _may_follow(before: tuple[float, float, float], block: tuple[float, float, float]) -> bool:
    rise = block[2] / block[0] - before[2] / before[0]
    low, high = before[1] / before[0], block[1] / block[0]
    if not (rise > 0 and high > low):
        return False
    return low <= 0 or high >= 1 or rise <= STEEPEST * (np.log(high / low) - np.log((1 - high) / (1 - low)))


def _less_certain(blocks: _Blocks, *, rows_of_mass: float) -> Floats:
    """Return the mean labels, with 0 and 1 at the ends moved as if two more rows were there, one of each class."""
    values, rows = blocks.values(), blocks.mass * rows_of_mass
    neighbours = (values[1], values[-2]) if len(values) > 1 else (1.0, 0.0)
    if values[0] <= 0:
        values[0] = min(1 / (rows[0] + 2), neighbours[0] / 2)
    if values[-1] >= 1:
        values[-1] = max(1 - 1 / (rows[-1] + 2), (1 + neighbours[1]) / 2)
    return values
