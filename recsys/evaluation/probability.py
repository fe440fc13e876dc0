"""Metrics of the probabilities themselves: log loss, normalized entropy, calibration.

Beside each stand its influence values, from which its interval comes (`intervals.py`).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats, Labelled, check, mean_influence
from recsys.evaluation.ties import tie_runs

__all__ = [
    "BINS",
    "CalibrationCurve",
    "bin_of_runs",
    "calibration",
    "calibration_curve",
    "calibration_influence",
    "check_probability",
    "curve_of_runs",
    "log_losses",
    "logloss",
    "logloss_influence",
    "mean_of",
    "normalised_entropy",
    "normalised_entropy_influence",
]


BINS = 20
"""Bins of equal weight, when nothing else is said."""


class CalibrationCurve(NamedTuple):
    """Mean prediction and mean label of each bin, by rising prediction."""

    prediction: npt.NDArray[np.float64]
    label: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    """Rows of the bin, or their weight."""


def logloss(probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Return the mean of -y log(p) - (1 - y) log(1 - p), in nats, computed in float64.

    p is clipped to [eps, 1 - eps] with eps = 2.2e-16, so a certain and wrong prediction costs 36 nats, not infinity.
    Near 1 a float32 probability has steps of 6e-8: hand over float64 when the model is that sure.

    Args:
        probability: (B,) between 0 and 1.
        label: (B,) between 0 and 1.
        weight: (B,) weight of each row; every row counts once when not given.

    Returns:
        NaN when there are no rows, or all weights are 0.

    Raises:
        ValueError: a probability is NaN or outside [0, 1], or an argument is not as described.

    Example:
        >>> round(logloss([0.5, 0.25], [1, 0]), 4)
        0.4904
    """
    rows = check_probability(probability, label, weight)
    return mean_of(log_losses(rows), rows.weight)


def logloss_influence(probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Floats:
    """Return the influence value of each row on `logloss`, (B,); arguments and errors are the same."""
    rows = check_probability(probability, label, weight)
    return mean_influence(log_losses(rows), rows.weight)


def normalised_entropy(probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Return the log loss divided by that of always predicting the mean label: below 1 is better than that.

    Paper: He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", 2014, section 3.

    Arguments and errors are those of `logloss`; NaN with one class only.

    Example:
        >>> normalised_entropy([0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0])
        1.0
    """
    rows = check_probability(probability, label, weight)
    mean = mean_of(rows.label, rows.weight)
    if not 0 < mean < 1:
        return float("nan")
    return mean_of(log_losses(rows), rows.weight) / _entropy(mean)


def normalised_entropy_influence(
    probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> Floats:
    """Return the influence value of each row on `normalised_entropy`, (B,); arguments and errors are the same.

    Of a ratio L / H(m) of the log loss and the entropy of the mean label, by its derivatives in L and m.
    """
    rows = check_probability(probability, label, weight)
    mean = mean_of(rows.label, rows.weight)
    if not 0 < mean < 1:
        return np.full(len(rows.score), np.nan)
    losses, entropy = log_losses(rows), _entropy(mean)
    slope = mean_of(losses, rows.weight) / entropy * (np.log1p(-mean) - np.log(mean))
    return mean_influence((losses - slope * rows.label) / entropy, rows.weight)


def calibration(probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Return the mean prediction divided by the mean label: 1 is right, 1.1 promises 10 % too many clicks.

    Arguments and errors are those of `logloss`; NaN without positives.

    Example:
        >>> calibration([0.25, 0.5], [0, 1])
        0.75
    """
    rows = check_probability(probability, label, weight)
    expected = mean_of(rows.label, rows.weight)
    return mean_of(rows.score, rows.weight) / expected if expected > 0 else float("nan")


def calibration_influence(
    probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> Floats:
    """Return the influence value of each row on `calibration`, (B,); arguments and errors are the same."""
    rows = check_probability(probability, label, weight)
    expected = mean_of(rows.label, rows.weight)
    if not expected > 0:
        return np.full(len(rows.score), np.nan)
    ratio = mean_of(rows.score, rows.weight) / expected
    return mean_influence((rows.score - ratio * rows.label) / expected, rows.weight)


def calibration_curve(
    probability: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    bins: int = BINS,
) -> CalibrationCurve:
    """Cut the rows into bins of about equal weight by rising prediction, for a plot of promised against actual.

    Equal predictions share a bin, so the result does not depend on the order of rows, and there can be fewer than
    `bins` bins. Other arguments and errors are those of `logloss`.
    """
    rows = check_probability(probability, label, weight)
    if len(rows.score) == 0:
        return CalibrationCurve(np.empty(0), np.empty(0), np.empty(0))
    return curve_of_runs(*tie_runs(rows)[:3], bins)


def curve_of_runs(
    score_R: Floats, positive_R: npt.NDArray[Any], negative_R: npt.NDArray[Any], bins: int
) -> CalibrationCurve:
    """Return the `calibration_curve` of distinct predictions, by rising prediction, with the mass of each class."""
    mass = (positive_R + negative_R).astype(np.float64)
    index = bin_of_runs(mass, bins)
    weights = np.bincount(index, mass).astype(np.float64)
    used = weights > 0
    prediction = np.bincount(index, mass * score_R)[used] / weights[used]
    return CalibrationCurve(prediction, np.bincount(index, positive_R)[used] / weights[used], weights[used])


def bin_of_runs(mass_R: Floats, bins: int) -> npt.NDArray[np.int64]:
    """Return the bin of each distinct prediction, (R,), given the mass of its rows, by rising prediction.

    Raises:
        ValueError: bins is less than 1.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    middle = np.cumsum(mass_R) - mass_R / 2
    index: npt.NDArray[np.int64] = (middle / max(mass_R.sum(), np.finfo(float).tiny) * bins).astype(np.int64)
    return np.minimum(index, bins - 1)


def check_probability(probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None) -> Labelled:
    """Check the arguments as `check` does, and that scores lie between 0 and 1."""
    rows = check(probability, label, weight)
    if len(rows.score) and not (rows.score.min() >= 0 and rows.score.max() <= 1):
        low, high = rows.score.min(), rows.score.max()
        raise ValueError(f"probability: must be between 0 and 1, got values from {low:g} to {high:g}")
    return rows


def log_losses(rows: Labelled) -> Floats:
    """Return the log loss of each row, (B,)."""
    eps = np.finfo(np.float64).eps
    p = np.clip(rows.score.astype(np.float64), eps, 1 - eps)
    if rows.is_hard:
        return -np.log(np.where(rows.label, p, 1 - p))
    soft: Floats = -rows.label * np.log(p) - (1 - rows.label) * np.log1p(-p)
    return soft


def _entropy(mean: float) -> float:
    """Return the log loss of always predicting the mean label, which lies between 0 and 1."""
    return float(-mean * np.log(mean) - (1 - mean) * np.log1p(-mean))


def mean_of(values: npt.NDArray[Any], weight: Floats | None) -> float:
    """Return the weighted mean; NaN without rows, or if all weights are 0."""
    if len(values) == 0:
        return float("nan")
    if weight is None:
        return float(np.mean(values, dtype=np.float64))
    total = float(weight.sum())
    return float(np.sum(weight * values)) / total if total > 0 else float("nan")
