"""The arguments of the metrics: one-dimensional arrays of equal length, checked once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Labelled", "WEIGHT_RULE", "are_weights", "check", "mean_influence", "small_sample_factor"]

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Checked arrays of B rows."""

    score: Floats
    """(B,) float32 or float64, without NaN."""
    label: npt.NDArray[Any]
    """(B,) bool, or float64 between 0 and 1."""
    weight: Floats | None
    """(B,) float64, see `are_weights`; None when every row counts once."""

    @property
    def is_hard(self) -> bool:
        """Whether each label is 0 or 1."""
        return self.label.dtype == np.bool_

    def masses(self) -> tuple[Floats, Floats]:
        """Split the weight w of each row into its positive part w * y and its negative part w * (1 - y), each (B,)."""
        weight = np.ones(len(self.score)) if self.weight is None else self.weight
        return weight * self.label, weight * (1.0 - self.label)

    def take(self, is_taken: npt.NDArray[np.bool_]) -> "Labelled":
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[is_taken]
        return Labelled(self.score[is_taken], self.label[is_taken], weight)


WEIGHT_RULE = "must be finite, at least 0, and not beyond float32"
"""Products of larger or smaller weights, or sums of their squares, would not be finite, or 0."""


def are_weights(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which values can be weights.

    Example:
        >>> are_weights(np.array([0.0, 2.5, -1.0, np.nan, 1e300, 1e-300]))
        array([ True,  True, False, False, False, False])
    """
    limits = np.finfo(np.float32)
    is_between = (values >= limits.smallest_subnormal) & (values <= limits.max)
    return np.asarray(is_between | (values == 0))


def check(
    score: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
) -> Labelled:
    """Return the arrays as `Labelled`.

    Raises:
        ValueError: an array is not (B,), a score is NaN, a label lies outside [0, 1], or a weight is none. The
            message names the array, and how many values are wrong.
    """
    scores = _vector("score", score, rows=None)
    rows = len(scores)
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
    _refuse("score", np.isnan(scores), "must not be NaN", scores)
    labels = _label(_vector("label", label, rows=rows))
    if weight is None:
        return Labelled(scores, labels, None)
    weights = _vector("weight", weight, rows=rows).astype(np.float64)
    _refuse("weight", ~are_weights(weights), WEIGHT_RULE, weights)
    return Labelled(scores, labels, weights)


def mean_influence(values: Floats, weight: Floats | None = None) -> Floats:
    """Return the influence values of a weighted mean, (B,): how much each row moves it.

    Their squares add up to the variance of the mean: for rows without weights, s**2 / B with the sample variance s**2.

    Args:
        values: (B,) what is averaged.
        weight: (B,) weight of each row; every row counts once when not given.

    Returns:
        NaN if fewer than two rows have a weight.

    Example:
        >>> mean_influence(np.array([0.0, 0.0, 1.0, 1.0])).round(3)
        array([-0.144, -0.144,  0.144,  0.144])
    """
    weights = np.ones(len(values)) if weight is None else weight
    factor = small_sample_factor(weights)
    if np.isnan(factor):
        return np.full(len(values), np.nan)
    share = weights / np.sum(weights)
    influence: Floats = share * (values - np.sum(share * values)) * factor
    return influence


def small_sample_factor(weight: Floats) -> float:
    """Return sqrt(n / (n - 1)) for the effective number n of rows: Kish's, which is their count if weights are equal.

    It makes up for the mean being estimated from the same rows; NaN with fewer than two rows.
    """
    squares = float(np.dot(weight, weight))
    rows = float(np.sum(weight)) ** 2 / squares if squares > 0 else 0.0
    return float(np.sqrt(rows / (rows - 1))) if rows > 1 + 1e-9 else float("nan")


def _label(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return bool labels if all are 0 or 1, else float64 ones."""
    if values.dtype == np.bool_:
        return values
    is_one = np.asarray(values == 1)
    if np.all(is_one | np.asarray(values == 0)):
        return is_one
    soft = values.astype(np.float64)
    _refuse("label", ~((soft >= 0) & (soft <= 1)), "must be between 0 and 1", soft)
    return soft


def _vector(name: str, values: npt.ArrayLike, *, rows: int | None) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1 or rows not in (None, len(array)):
        expected = "one dimension" if rows is None else f"shape ({rows},), as score has"
        raise ValueError(f"{name}: must have {expected}, got shape {array.shape}")
    return array


def _refuse(name: str, is_wrong: npt.NDArray[np.bool_], rule: str, values: npt.NDArray[Any]) -> None:
    count = int(np.count_nonzero(is_wrong))
    if count:
        row = int(np.argmax(is_wrong))
        raise ValueError(f"{name}: {rule}, got {values[row]} in row {row}; {count} of {len(values)} values are wrong")
