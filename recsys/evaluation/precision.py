"""Average precision: the area under the precision-recall curve, as steps.

Unlike AUC it depends on the share of positives: with rare clicks it looks at the top of the list only.

Dimension key: B rows, R distinct scores.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats, check, small_sample_factor
from recsys.evaluation.ties import sorted_runs, tie_runs

__all__ = ["average_precision", "average_precision_influence"]


class _Curve(NamedTuple):
    """What lies at or above each distinct score, by falling score."""

    share: Floats
    """(R,) share of the positives that have this score."""
    positive: Floats
    """(R,) mass of positives with this score or a higher one."""
    total: Floats
    """(R,) mass of all rows with this score or a higher one."""

    @property
    def precision(self) -> Floats:
        """(R,) share of positives among the rows with this score or a higher one."""
        found: Floats = self.positive / self.total
        return found


def average_precision(score: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Return the mean over positives of the precision among the rows that are scored as high or higher.

    Arguments and errors are those of `auc`; NaN without positives.

    Example:
        >>> round(average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)
        0.8333
    """
    rows = check(score, label, weight)
    if not np.any(rows.masses()[0]):
        return float("nan")
    ties = tie_runs(rows)
    curve = _curve(ties.positive[::-1], ties.negative[::-1])
    return float(np.sum(curve.share * curve.precision))


def average_precision_influence(
    score: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> Floats:
    """Return the influence value of each row on `average_precision`, (B,); arguments and errors are the same.

    A positive moves the mean by its own precision, and raises that of all positives below it; a negative lowers that of
    all positives below it: the derivative of the definition in the weight of a row.
    """
    rows = check(score, label, weight)
    masses = rows.masses()
    factor = small_sample_factor(masses[0] + masses[1])
    if np.isnan(factor) or not np.any(masses[0]):
        return np.full(len(rows.score), np.nan)
    runs = sorted_runs(rows.score)
    curve = _curve(*(runs.sums(mass)[::-1] for mass in masses))
    gain = _below(curve.share * (curve.total - curve.positive) / curve.total**2)
    loss = _below(curve.share * curve.positive / curve.total**2)
    own = (curve.precision - np.sum(curve.share * curve.precision)) / curve.positive[-1]
    influence: Floats = factor * (masses[0] * runs.at_rows((own + gain)[::-1]) - masses[1] * runs.at_rows(loss[::-1]))
    return influence


def _curve(positive_R: Floats, negative_R: Floats) -> _Curve:
    """Add up masses by falling score; where there is none yet, no positive asks for a precision."""
    positive, negative = np.cumsum(positive_R, dtype=np.float64), np.cumsum(negative_R, dtype=np.float64)
    total = positive + negative
    return _Curve(positive_R / positive[-1], positive, np.where(total > 0, total, 1.0))


def _below(values_R: Floats) -> Floats:
    """Return the sum of the values at each distinct score and below, (R,)."""
    found: Floats = np.cumsum(values_R[::-1])[::-1]
    return found
