"""The curves of predictions, exact: every distinct score is a threshold, ties are one step, weights are weights.

Dimension key: R distinct scores.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats, check
from recsys.evaluation.intervals import Z95
from recsys.evaluation.probability import curve_of_runs
from recsys.evaluation.ties import tie_runs
from recsys.judging.report.thin import thin

__all__ = ["Curve", "Histogram", "Ranking", "Reliability"]

_BINS = 15
"""Bins of the reliability diagram."""
_FIRST_SHARE = 0.005
"""The lift curve begins at this share of the rows: of fewer, it is noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Points of a curve, as few as show its shape."""

    x: Floats
    y: Floats

    @classmethod
    def thinned(cls, x: Floats, y: Floats) -> "Curve":
        """Return a curve of at most some hundred of the points."""
        kept = thin(x, y)
        return cls(x[kept], y[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Mean predictions and mean labels of bins of about equal weight, by rising prediction."""

    predicted: Floats
    actual: Floats
    low: Floats
    """`low` and `high` are the ends of Wilson's 95 % intervals of the actual rate."""
    high: Floats
    rows: Floats
    """Effective rows of each bin: the squared sum of the weights by the sum of their squares."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Share of each class in bins of the score."""

    edges: Floats
    positive: Floats
    negative: Floats


class Ranking:
    """Predictions in the order of their scores, from which all curves are read.

    Args:
        label: (B,) between 0 and 1.
        score: (B,) without NaN.
        weight: (B,) at least 0; None if every row counts once.
    """

    def __init__(self, label: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> None:
        rows = check(score, label, weight)
        self.rows = len(rows.score)
        self.is_probability = bool(self.rows) and bool(rows.score.min() >= 0) and bool(rows.score.max() <= 1)
        self._rows_per_weight = 1.0 if rows.weight is None else _effective(rows.weight)
        empty: Floats = np.empty(0)
        self.score: Floats
        self.positive: npt.NDArray[Any]
        self.negative: npt.NDArray[Any]
        self.score, self.positive, self.negative = tie_runs(rows)[:3] if self.rows else (empty, empty, empty)

    @cached_property
    def positives(self) -> float:
        """Weight of the positives."""
        return float(self.positive.sum())

    @cached_property
    def negatives(self) -> float:
        """Weight of the negatives."""
        return float(self.negative.sum())

    @property
    def base_rate(self) -> float:
        """Share of positives."""
        return self.positives / (self.positives + self.negatives)

    @property
    def has_both(self) -> bool:
        """Whether there are both positives and negatives."""
        return self.positives > 0 and self.negatives > 0

    @cached_property
    def _above(self) -> tuple[Floats, Floats]:
        """Shares of the positives and of the negatives at or above each score, (R + 1,), beginning with none."""
        return _shares(self.positive, self.positives), _shares(self.negative, self.negatives)

    @cached_property
    def roc(self) -> Curve:
        """The true positive rate over the false positive rate."""
        positive, negative = self._above
        return Curve.thinned(negative, positive)

    @cached_property
    def precision_recall(self) -> Curve:
        """The precision over the recall; it begins at the highest score."""
        positive, negative = (share[1:] for share in self._above)
        true = positive * self.positives
        weight = true + negative * self.negatives
        is_any = weight > 0
        return Curve.thinned(positive[is_any], true[is_any] / weight[is_any])

    @cached_property
    def gains(self) -> Curve:
        """The share of the positives among the rows with the highest scores, over their share of all rows."""
        return Curve.thinned(self._share_of_rows, self._above[0])

    @cached_property
    def lift(self) -> Curve:
        """The share of the positives among the rows with the highest scores, divided by the share of the rows."""
        share, positive = self._share_of_rows, self._above[0]
        is_shown = share >= min(_FIRST_SHARE, float(share[-1]))
        return Curve.thinned(share[is_shown], positive[is_shown] / share[is_shown])

    def caught(self, share: float) -> float:
        """Return the share of the positives among a share of the rows with the highest scores, ties in between."""
        return float(np.interp(share, self._share_of_rows, self._above[0]))

    @cached_property
    def _share_of_rows(self) -> Floats:
        positive, negative = self._above
        return positive * self.base_rate + negative * (1.0 - self.base_rate)

    @cached_property
    def reliability(self) -> Reliability:
        """Bins of about equal weight; equal scores share one."""
        found = curve_of_runs(self.score, self.positive, self.negative, _BINS)
        rows = found.weight * self._rows_per_weight
        return Reliability(found.prediction, found.label, *_wilson(found.label, rows), rows)

    def histogram(self, edges: Floats) -> Histogram:
        """Return the share of each class between edges; scores beyond the first and last belong to the end bins."""
        score = np.clip(self.score, edges[0], edges[-1])
        counts = [np.histogram(score, edges, weights=mass)[0] for mass in (self.positive, self.negative)]
        positive, negative = (count / max(count.sum(), np.finfo(float).tiny) for count in counts)
        return Histogram(edges, positive, negative)

    def quantile(self, share: float) -> float:
        """Return the score below which a share of the weight lies."""
        up_to = np.cumsum(self.positive + self.negative)
        place = int(np.searchsorted(up_to, share * up_to[-1]))
        return float(self.score[min(place, len(self.score) - 1)])


def _shares(mass: npt.NDArray[np.float64], total: float) -> Floats:
    """Return the share of a mass at or above each score, from the highest score down, beginning with 0."""
    return np.concatenate([[0.0], np.cumsum(mass[::-1]) / (total or 1.0)])


def _effective(weight: Floats) -> float:
    """Return how many rows that weigh the same one unit of weight is worth."""
    squares = float(np.square(weight, dtype=np.float64).sum())
    return float(weight.sum(dtype=np.float64)) / squares if squares > 0 else 0.0


def _wilson(rate: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Return Wilson's 95 % intervals of rates.

    Paper: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    squared = Z95**2
    middle = (rate * rows + squared / 2) / (rows + squared)
    margin = Z95 / (rows + squared) * np.sqrt(rate * (1 - rate) * rows + squared / 4)
    return np.clip(middle - margin, 0.0, 1.0), np.clip(middle + margin, 0.0, 1.0)
