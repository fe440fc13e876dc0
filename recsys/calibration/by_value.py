"""Curves of the values of a feature beside the curve of all rows: which values get one, and how far it is followed.

The curve of few rows is mostly noise. So a row has the weighted mean of two curves: that of its value counts
n / (n + k), where the value has n rows, and that of all rows the rest. How many rows k the curve of all rows counts for
is found by cross-validation: with which k curves that are fitted on one half of the rows suit the other half best. A
value for whose rows the curve of all rows is surely too high or too low has a k of its own, so that one value among
many may differ. All others share one k: small where they differ a little each, and infinite where that is not sure, so
that only the curve of all rows is left.

Dimension key: R rows, V values with a curve, K candidates.
"""

from collections.abc import Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from recsys.calibration.base import Calibration, Curve, Floats

__all__ = ["LEAST_ROWS", "MOST_VALUES", "CalibrationRows", "ValueRows", "find_values", "fit_by_value"]

Ints = npt.NDArray[np.int64]

LEAST_ROWS = 50
"""Rows that a value must have for a curve of its own; with fewer it would count next to nothing."""
MOST_VALUES = 10_000
"""Values that have a curve of their own have one in so many of all rows at least: there cannot be more of them."""
CHUNK_ROWS = 2**16
"""Rows that are looked at at a time."""
FALSE_ALARMS = 0.025
"""Probability that values which are calibrated alike are said to differ: any of them, and all of them together."""
CANDIDATES = np.array([30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0, np.inf])
"""Rows that the curve of all rows may count for, beside the rows of a value; infinitely many leave only that curve."""


class CalibrationRows(NamedTuple):
    """Rows that the curves of one task are fitted on."""

    probability: Floats
    """(R,) predictions, between 0 and 1."""
    label: Floats
    """(R,) between 0 and 1."""
    weight: Floats | None
    """(R,) weights; None counts each row once."""

    def take(self, rows: Ints) -> "CalibrationRows":
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return CalibrationRows(self.probability[rows], self.label[rows], weight)


class ValueRows(NamedTuple):
    """The values of a feature that have a curve of their own, and their rows."""

    ids: Ints
    """(V,) their ids, ascending."""
    order: Ints
    """Numbers of the rows that have a weight, by the id of their value, then by their place."""
    starts: Ints
    """(V,) place in `order` of the first row of each value."""
    sizes: Ints
    """(V,) number of rows of each value."""

    def half(self, which: int) -> "ValueRows":
        """Return every other row, of each value too."""
        starts = (self.starts + 1 - which) // 2
        ends = (self.starts + self.sizes + 1 - which) // 2
        return ValueRows(self.ids, self.order[which::2], starts, ends - starts)

    def chunks(self) -> Iterator[tuple[Ints, Ints]]:
        """Yield the rows whose value has a curve, at most `CHUNK_ROWS` at a time, and the number of it, from 1."""
        number_R = np.zeros(len(self.order), np.int64)
        for number, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True), start=1):
            number_R[start : start + size] = number
        has_curve = np.flatnonzero(number_R)
        for start in range(0, len(has_curve), CHUNK_ROWS):
            chunk = has_curve[start : start + CHUNK_ROWS]
            yield self.order[chunk], number_R[chunk]


def find_values(id_R: Ints, weight_R: Floats | None = None, *, unknown: int) -> ValueRows:
    """Find the values that get a curve of their own.

    Args:
        id_R: id of each row's value.
        weight_R: weights of the rows; those without any do not count.
        unknown: the id of what is no value: missing, or not in the vocabulary.
    """
    rows = np.arange(len(id_R)) if weight_R is None else np.flatnonzero(weight_R > 0)
    order = rows[np.argsort(id_R[rows], kind="stable")]
    ids = id_R[order]
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]])[: len(ids)])
    sizes = np.diff(starts, append=len(ids))
    is_enough = (sizes >= max(LEAST_ROWS, len(ids) / MOST_VALUES)) & (ids[starts] != unknown)
    return ValueRows(ids[starts[is_enough]], order, starts[is_enough], sizes[is_enough])


def fit_by_value(calibration: Calibration, rows: CalibrationRows, values: ValueRows) -> tuple[list[Curve], Floats]:
    """Fit the curve of all rows and one of each value.

    Returns:
        The curves, that of all rows first and the others in the order of `values.ids`, and how much each of the others
        counts beside it, (V,): 0 of a value whose labels are all the same.
    """
    of_all = calibration.fit(*rows)
    prior_rows = _best_prior_rows(calibration, rows, values, of_all)
    curves, shares = _fit(calibration, rows, values, prior_rows[None])
    return [of_all, *curves], shares.reshape(-1)


def _fit(
    calibration: Calibration, rows: CalibrationRows, values: ValueRows, prior_rows: Floats
) -> tuple[list[Curve], Floats]:
    """Return the curves of the values, and what they count for each number of prior rows, (K, V).

    Args:
        calibration: fits them.
        rows: what they are fitted on.
        values: which of the rows are those of which value.
        prior_rows: rows that the curve of all rows counts for, (K, 1) or (K, V).
    """
    nothing = {name: np.array(points, np.float64) for name, points in calibration.identity.items()}
    curves: list[Curve] = []
    shares: Floats = values.sizes / (values.sizes + prior_rows)
    for number, (start, size) in enumerate(zip(values.starts, values.sizes, strict=True)):
        of_value = rows.take(values.order[start : start + size])
        is_fitted = _has_both_classes(of_value) and shares[:, number].any()
        curves.append(calibration.fit(*of_value) if is_fitted else nothing)
        shares[:, number] *= is_fitted
    return curves, shares


def _has_both_classes(rows: CalibrationRows) -> bool:
    return len(rows.label) > 0 and bool(rows.label.min() < rows.label.max())


def _best_prior_rows(calibration: Calibration, rows: CalibrationRows, values: ValueRows, of_all: Curve) -> Floats:
    """Return how many rows the curve of all rows counts for beside that of each value, (V,)."""
    halves = [values.half(which) for which in (0, 1)]
    if not len(values.ids) or not all(_has_both_classes(rows.take(half.order)) for half in halves):
        return np.full(len(values.ids), np.inf)
    calibration.set_curves([of_all])
    differs_V = _is_surely_off(calibration, rows, values)
    gains, squares = np.zeros((2, len(CANDIDATES), len(values.ids)))
    for half, other in zip(halves, reversed(halves), strict=True):
        of_half = rows.take(half.order)
        here = half._replace(order=np.arange(len(half.order)))
        curves, shares = _fit(calibration, of_half, here, CANDIDATES[:, None])
        calibration.set_curves([calibration.fit(*of_half), *curves])
        for chunk, number_R in other.chunks():
            gain_KR = _gain_of_rows(calibration, rows.take(chunk), number_R, shares)
            gains += _sums_of_values(gain_KR, number_R, len(values.ids))
            squares += _sums_of_values(gain_KR**2, number_R, len(values.ids))
    gain_K, square_K = gains[:, ~differs_V].sum(axis=1), squares[:, ~differs_V].sum(axis=1)
    # Twice the variance: what two halves have in common by chance is a gain both ways round.
    errors = NormalDist().inv_cdf(1 - FALSE_ALARMS / len(CANDIDATES))
    is_sure = (gain_K > errors * np.sqrt(2 * square_K)).any()
    of_others = CANDIDATES[gain_K.argmax()] if is_sure else np.inf
    return np.where(differs_V, CANDIDATES[gains.argmax(axis=0)], of_others)


def _is_surely_off(calibration: Calibration, rows: CalibrationRows, values: ValueRows) -> npt.NDArray[np.bool_]:
    """Return for which values the curve of all rows is too high or too low, whatever the chance, (V,)."""
    residuals, variances = np.zeros((2, len(values.ids)))
    for chunk, number_R in values.chunks():
        of_chunk = rows.take(chunk)
        predicted = calibration(
            torch.from_numpy(of_chunk.probability), torch.zeros(len(chunk), dtype=torch.int64)
        ).numpy()
        weight = np.ones(len(chunk)) if of_chunk.weight is None else of_chunk.weight
        terms = np.stack([weight * (of_chunk.label - predicted), weight**2 * predicted * (1 - predicted)])
        residual_V, variance_V = _sums_of_values(terms, number_R, len(values.ids))
        residuals += residual_V
        variances += variance_V
    errors = NormalDist().inv_cdf(1 - FALSE_ALARMS / 2 / len(values.ids))
    return np.asarray(np.abs(residuals) > errors * np.sqrt(variances))


def _sums_of_values(terms: Floats, number_R: Ints, num_values: int) -> Floats:
    """Return the sums over the rows of each value, (K, R) -> (K, V); rows have the numbers of their values, from 1."""
    return np.stack([np.bincount(number_R - 1, of_rows, num_values) for of_rows in terms])


def _gain_of_rows(calibration: Calibration, rows: CalibrationRows, number_R: Ints, shares: Floats) -> Floats:
    """Return by how much the log loss of each row is less than with the curve of all rows, (K, R)."""
    probability, number = torch.from_numpy(rows.probability), torch.from_numpy(number_R)
    of_all = calibration(probability, torch.zeros_like(number)).numpy()
    of_value = calibration(probability, number).numpy()
    mixed_KR = of_all + shares[:, number_R - 1] * (of_value - of_all)
    with np.errstate(divide="ignore"):
        likelihood_KR = np.where(rows.label > 0, rows.label * np.log(mixed_KR), 0.0)
        likelihood_KR += np.where(rows.label < 1, (1 - rows.label) * np.log1p(-mixed_KR), 0.0)
    gain_KR: Floats = likelihood_KR - likelihood_KR[-1]
    return gain_KR if rows.weight is None else rows.weight * gain_KR
