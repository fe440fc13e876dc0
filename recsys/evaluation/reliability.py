"""Whether probabilities are what they say: the Brier score and its parts, and the expected calibration error (ECE).

Both look at the bins of `calibration_curve`: `BINS` bins of equal weight by rising prediction; equal predictions
share a bin.

Dimension key: B rows, K bins.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats, Labelled, mean_influence
from recsys.evaluation.intervals import Z95, Interval
from recsys.evaluation.probability import BINS, bin_of_runs, check_probability, mean_of
from recsys.evaluation.ties import sorted_runs

__all__ = [
    "Brier",
    "brier",
    "brier_figures",
    "brier_influence",
    "brier_score",
    "ece_figures",
    "expected_calibration_error",
]

DRAWS = 2000
"""Draws of the errors of bins from which the interval of an ECE comes, the same each time."""


class Brier(NamedTuple):
    """The Brier score = reliability - resolution + uncertainty, exactly."""

    score: float
    reliability: float
    """Mean squared distance between mean prediction and mean label of bins: 0 is best."""
    resolution: float
    """The part of the uncertainty that the predictions resolve: more is better."""
    uncertainty: float
    """Variance of the labels, which is the score of always predicting their mean."""


def brier_score(probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Return the mean squared difference between probability and label; arguments and errors are those of `logloss`.

    Example:
        >>> brier_score([0.5, 0.25], [1, 0])
        0.15625
    """
    rows = check_probability(probability, label, weight)
    return mean_of(_losses(rows), rows.weight)


def brier_influence(probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Floats:
    """Return the influence value of each row on `brier_score`, (B,); arguments and errors are the same."""
    rows = check_probability(probability, label, weight)
    return mean_influence(_losses(rows), rows.weight)


def brier(
    probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None, *, bins: int = BINS
) -> Brier:
    """Return the Brier score and its parts over bins of equal weight.

    Paper: Murphy, "A New Vector Partition of the Probability Score", 1973, for predictions that are equal within a bin;
    Stephenson et al., "Two Extra Components in the Brier Score Decomposition", 2008, for others: what they vary within
    a bin, and vary with the labels there, belongs to the resolution.

    Arguments and errors are those of `calibration_curve`; NaN throughout without rows.

    Example:
        >>> brier([0.25, 0.25, 0.75, 0.75], [0, 0, 0, 1])
        Brier(score=0.1875, reliability=0.0625, resolution=0.0625, uncertainty=0.1875)
    """
    rows = check_probability(probability, label, weight)
    score = mean_of(_losses(rows), rows.weight)
    if np.isnan(score):
        return Brier(score, score, score, score)
    found = _Bins.of(rows, bins)
    reliability = float(np.sum(found.share * (found.prediction - found.label) ** 2))
    base = mean_of(rows.label, rows.weight)
    uncertainty = mean_of((rows.label - base) ** 2, rows.weight)
    predicted, happened = rows.score - found.prediction[found.code], rows.label - found.label[found.code]
    within = mean_of(predicted * (2 * happened - predicted), rows.weight)
    resolution = float(np.sum(found.share * (found.label - base) ** 2)) + within
    return Brier(score, reliability, resolution, uncertainty)


def brier_figures(
    probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> dict[str, float]:
    """Return the parts of `brier` under the names that evaluations give them; arguments and errors are the same."""
    found = brier(probability, label, weight)
    parts = ("reliability", "resolution", "uncertainty")
    return {"brier_score": found.score} | {f"brier_score_{part}": getattr(found, part) for part in parts}


def expected_calibration_error(
    probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None, *, bins: int = BINS
) -> Interval:
    """Return the mean distance between mean prediction and mean label of bins of equal weight, with an interval.

    Paper: Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015.
    DIFF: bins of equal weight in place of equal width, as predictions of clicks crowd near 0.

    Chance alone moves bins apart, so that the value is above 0 for probabilities that are right, and no influence value
    describes it. The interval is that of the true distances, as far as these bins see them: it begins at 0 where chance
    alone explains the value.

    Arguments and errors are those of `calibration_curve`.

    Example:
        >>> expected_calibration_error([0.25, 0.25, 0.75, 0.75], [0, 0, 1, 1]).value
        0.25
    """
    rows = check_probability(probability, label, weight)
    if np.isnan(mean_of(rows.score, rows.weight)):
        return Interval(float("nan"), float("nan"), float("nan"))
    found = _Bins.of(rows, bins)
    apart = found.share * (found.prediction - found.label)
    error = _errors(rows, found)
    value = float(np.sum(np.abs(apart)))
    if np.isnan(error).any():
        return Interval(value, float("nan"), float("nan"))
    return Interval(value, *_likely(apart, error))


def ece_figures(
    probability: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> dict[str, float]:
    """Return the ECE, and the ends of its interval if it has one; arguments and errors are as for it."""
    found = expected_calibration_error(probability, label, weight)
    return {"ece": found.value} | ({} if np.isnan(found.low) else {"ece_low": found.low, "ece_high": found.high})


class _Bins(NamedTuple):
    """Rows in bins of equal weight."""

    code: npt.NDArray[np.intp]
    """(B,) bin of each row."""
    share: Floats
    """(K,) share of the weight."""
    prediction: Floats
    """(K,) mean prediction."""
    label: Floats
    """(K,) mean label."""

    @classmethod
    def of(cls, rows: Labelled, bins: int) -> "_Bins":
        index = _bin_of_rows(rows, bins)
        mass = np.ones(len(index)) if rows.weight is None else rows.weight
        weight = np.bincount(index, mass)
        divisor = np.where(weight > 0, weight, 1.0)
        means = (np.bincount(index, mass * values) / divisor for values in (rows.score, rows.label))
        return cls(index, weight / weight.sum(), *means)


def _bin_of_rows(rows: Labelled, bins: int) -> npt.NDArray[np.intp]:
    """Return the bin of each row, (B,), as `calibration_curve` has them."""
    runs = sorted_runs(rows.score)
    positive, negative = map(runs.sums, rows.masses())
    return runs.at_rows(bin_of_runs(positive + negative, bins))


def _losses(rows: Labelled) -> Floats:
    """Return the squared error of each row, (B,)."""
    losses: Floats = (rows.score.astype(np.float64) - rows.label) ** 2
    return losses


def _errors(rows: Labelled, found: _Bins) -> Floats:
    """Return the standard error of the share of each bin times its distance, (K,); NaN with fewer than two rows."""
    mass = np.ones(len(found.code)) if rows.weight is None else rows.weight
    weight, squares = np.bincount(found.code, mass), np.bincount(found.code, mass**2)
    apart = rows.score.astype(np.float64) - rows.label - (found.prediction - found.label)[found.code]
    with np.errstate(divide="ignore", invalid="ignore"):
        num_rows = np.where(squares > 0, weight**2 / squares, np.inf)
        factor = np.where(num_rows > 1 + 1e-9, 1 / (1 - 1 / num_rows), np.nan)
    errors: Floats = np.sqrt(np.bincount(found.code, (mass * apart) ** 2) * factor) / weight.sum()
    return errors


def _likely(apart_K: Floats, error_K: Floats) -> tuple[float, float]:
    """Return the ends of the interval of the sum of |apart|, which was found with normal errors.

    The value is above the truth by chance, never below it on average: the upper end is that of the signed distances,
    and the lower one also allows for the least multiple of the distances with which a value like this one is likely.
    """
    value, margin = float(np.sum(np.abs(apart_K))), Z95 * float(np.sqrt(np.sum(error_K**2)))
    noise = np.random.default_rng(0).standard_normal((DRAWS, len(apart_K))) * error_K

    def likely_at_most(multiple: float) -> float:
        return float(np.quantile(np.abs(multiple * apart_K + noise).sum(axis=1), 0.975))

    least = 0.0 if likely_at_most(0.0) >= value else _solve(lambda multiple: likely_at_most(multiple) - value)
    return max(min(least * value, value - margin), 0.0), min(value + margin, 1.0)


def _solve(rising: Callable[[float], float]) -> float:
    """Return where between 0 and 1 a rising function is 0, to nine digits."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
