"""Scaling of number columns, fitted chunk by chunk."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.feature_types import NumberFeature, NumberTransform

__all__ = ["Moments", "NumberState", "Numbers", "transformed"]

Numbers = NDArray[np.float64]


class NumberState(NamedTuple):
    """v = (transform(x) - shift) * scale, clipped to [0, 1] where `clip`; a missing x gives 0."""

    transform: NumberTransform
    shift: float
    scale: float
    clip: bool

    def apply(self, numbers: Numbers) -> NDArray[np.float32]:
        """Scale a column; NaN is missing. Shapes (rows,) -> (rows,); computed in float64."""
        values = (transformed(numbers, self.transform) - self.shift) * self.scale
        if self.clip:
            values = np.clip(values, 0.0, 1.0)
        return np.where(np.isnan(numbers), 0.0, values).astype(np.float32)


class Moments(NamedTuple):
    """Count, mean, sum of squared deviations and range of the numbers seen so far.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    number: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf

    @classmethod
    def of(cls, numbers: Numbers) -> "Moments":
        """Measure a column; NaN is missing."""
        present = numbers[~np.isnan(numbers)]
        if len(present) == 0:
            return cls()
        mean = float(present.mean())
        squares = float(np.square(present - mean).sum())
        return cls(len(present), mean, squares, float(present.min()), float(present.max()))

    def merged(self, other: "Moments") -> "Moments":
        """Return the moments of both parts together."""
        number = self.number + other.number
        if number == 0:
            return self
        delta = other.mean - self.mean
        mean = self.mean + delta * other.number / number
        squares = self.squares + other.squares + delta * delta * self.number * other.number / number
        return Moments(number, mean, squares, min(self.low, other.low), max(self.high, other.high))

    def state(self, feature: NumberFeature) -> NumberState:
        """Return the scaling the feature asks for; a constant column becomes 0."""
        if feature.normalize == "none" or self.number == 0:
            return NumberState(feature.transform, 0.0, 1.0, clip=False)
        if feature.normalize == "standard":
            deviation = float(np.sqrt(self.squares / self.number))
            # Rounding leaves a trace of deviation in a constant column: it is not to be blown up.
            flat = deviation <= 1e-12 * max(abs(self.low), abs(self.high))
            return NumberState(feature.transform, self.mean, 1.0 if flat else 1.0 / deviation, clip=False)
        span = self.high - self.low
        return NumberState(feature.transform, self.low, 1.0 / span if span > 0 else 1.0, clip=True)


def transformed(numbers: Numbers, transform: NumberTransform) -> Numbers:
    """Apply the transform of a number feature; NaN stays NaN.

    >>> transformed(np.array([-1.0, 0.0, 1.0]), "log1p").round(4).tolist()
    [-0.6931, 0.0, 0.6931]

    Song et al., "AutoInt", 2019, section 5.1.1 for log_squared: log(x)^2 above 2, else x.
    """
    if transform == "log1p":
        return np.sign(numbers) * np.log1p(np.abs(numbers))
    if transform == "log_squared":
        return np.where(numbers > 2, np.square(np.log(np.maximum(numbers, 2))), numbers)
    return numbers
