"""Platt, "Probabilistic outputs for support vector machines", 1999: a logistic regression on the model's log-odds.

Fitted by Newton's method with halved steps, as in Lin, Lin and Weng, "A note on Platt's probabilistic outputs for
support vector machines", 2007.

Dimension key: B rows.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recsys.calibration.base import Calibration, Curve, Floats
from recsys.config.calibrations.platt import PlattSection

__all__ = ["Platt"]

SMALLEST, LARGEST = float(np.finfo(np.float64).tiny), 1 - 2.0**-53
"""Probabilities that are closer to 0 or 1 count as these, whose log-odds are finite."""
SMALLEST_SLOPE = 1e-3
"""Slope of a model that ranks the validation rows no better than chance: the curve is all but flat, yet increasing."""
MOST_STEPS = 100
ENOUGH = 1e-12
"""Largest gradient of the mean loss at which the fit has come to its end."""


class Platt(Calibration):
    """sigmoid(slope * logit(p) + shift).

    Targets are Platt's: (P + 1) / (P + 2) for positives and 1 / (N + 2) for negatives, where P and N count the rows of
    each class, so that the slope is finite where the scores tell the classes apart without an error.

    Example:
        >>> calibration = Platt(PlattSection(method="platt"))
        >>> calibration.set_curves([calibration.fit(np.full(4, 0.5), np.array([1.0, 0.0, 0.0, 0.0]), None)])
        >>> calibration(torch.tensor([0.5], dtype=torch.float64), torch.tensor([0]))  # (2/3 + 3 * 1/5) / 4
        tensor([0.3167], dtype=torch.float64)
    """

    section = PlattSection
    identity: ClassVar[Mapping[str, Sequence[float]]] = {"slope": (1.0,), "shift": (0.0,)}

    slope: Tensor
    shift: Tensor

    def fit(self, probability: Floats, label: Floats, weight: Floats | None) -> Curve:
        """Maximize the likelihood of the labels."""
        logit = _logit(probability)
        share = np.full(len(label), 1 / len(label)) if weight is None else weight / weight.sum()
        positives = float((share * label).sum()) * len(label)
        high, low = (positives + 1) / (positives + 2), 1 / (len(label) - positives + 2)
        problem = _Problem(logit, share, high * label + low * (1 - label))
        slope, shift = _newton(problem, np.array([1.0, 0.0]), free=2)
        if slope < SMALLEST_SLOPE:
            slope, shift = _newton(problem, np.array([SMALLEST_SLOPE, 0.0]), free=1)
        return {"slope": np.array([slope]), "shift": np.array([shift])}

    def forward(self, probability: Tensor, curve: Tensor) -> Tensor:
        logit = torch.logit(probability.clamp(2.2250738585072014e-308, 0.9999999999999999))
        return torch.sigmoid(self.slope[curve] * logit + self.shift[curve])


class _Problem(NamedTuple):
    logit: Floats
    share: Floats
    """(B,) weights whose sum is 1."""
    target: Floats

    def loss(self, at: Floats) -> float:
        """Return the mean log loss, in a form that does not overflow."""
        scaled = at[0] * self.logit + at[1]
        return float((self.share * (np.logaddexp(0, scaled) - self.target * scaled)).sum())

    def derivatives(self, at: Floats) -> tuple[Floats, Floats]:
        """Return the gradient (2,) and the Hessian (2, 2) of the loss."""
        predicted = np.exp(-np.logaddexp(0, -(at[0] * self.logit + at[1])))
        error, curve = self.share * (predicted - self.target), self.share * predicted * (1 - predicted)
        mixed = float((curve * self.logit).sum())
        gradient = np.array([float((error * self.logit).sum()), float(error.sum())])
        return gradient, np.array([[float((curve * self.logit**2).sum()), mixed], [mixed, float(curve.sum())]])


def _newton(problem: _Problem, start: Floats, *, free: int) -> Floats:
    """Return where the loss is smallest when the last `free` of slope and shift may change."""
    at, loss = start, problem.loss(start)
    for _ in range(MOST_STEPS):
        gradient, hessian = problem.derivatives(at)
        if np.abs(gradient[-free:]).max() < ENOUGH:
            break
        step = np.zeros(2)
        step[-free:] = np.linalg.solve(hessian[-free:, -free:] + 1e-12 * np.eye(free), gradient[-free:])
        scale = 1.0
        while (found := problem.loss(at - scale * step)) > loss and scale > 1e-10:
            scale /= 2
        if found > loss:
            break
        at, loss = at - scale * step, found
    return at


def _logit(probability: Floats) -> Floats:
    clipped = np.clip(probability, SMALLEST, LARGEST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
