"""`type: number`: the number of a row -> a float32 that the model reads as it is."""

import re
from statistics import median
from typing import ClassVar

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import FeatureSection, Field, NumberFeature
from recsys.features.column_profile import ColumnProfile
from recsys.features.fingerprint import KeyKind
from recsys.features.moments import Moments, Numbers, transformed
from recsys.features.state import TransformState
from recsys.features.types.base import FeatureHandler, Fit, Offer
from recsys.features.values import to_numbers

__all__ = ["Number"]

_NUMBER_NAME = re.compile(
    r"(^|_)(n|num|count|cnt|price|cost|amount|age|qty|quantity|size|len|length|duration|score|rating|days|hours"
    r"|seconds|rank|rate|ratio|ctr|views|width|height|distance|I\d+)(_|$)"
)


class ScalingFit(Fit):
    """Measures the numbers of a feature, if they are to be normalized."""

    def __init__(self, name: str, feature: NumberFeature) -> None:
        self.name = name
        self.feature = feature
        self.moments = Moments()

    def add(self, values: Numbers) -> None:
        """Measure numbers, shape (rows,); NaN is missing."""
        if self.feature.normalize != "none":
            self.moments = self.moments.merged(Moments.of(transformed(values, self.feature.transform)))

    def merge(self, other: "ScalingFit") -> None:
        """Take over the moments of later rows."""
        self.moments = self.moments.merged(other.moments)

    def finish(self, state: TransformState) -> None:
        """Write the scaling."""
        state.numbers[self.name] = self.moments.state(self.feature)


class Number(FeatureHandler[NumberFeature]):
    """One number a row, transformed and normalized."""

    section: ClassVar[type[FeatureSection]] = NumberFeature

    def canonicalize(self, series: pl.Series, kind: KeyKind) -> pl.Series:
        """Return the numbers, Float64; NaN where they are missing."""
        del kind
        return to_numbers(series)

    def fit(self) -> Fit | None:
        """Return a fit without any numbers."""
        return ScalingFit(self.name, self.feature)

    def encode(self, frame: pl.DataFrame, field: Field, state: TransformState) -> pa.Array:
        """Return the scaled numbers, float32; 0 where they are missing."""
        return pa.array(state.numbers[field.name].apply(self.values(frame)))

    @classmethod
    def suggest(cls, column: ColumnProfile) -> Offer | None:
        """Offer a number for fractions, and for integers that are named so, below 0, or far apart."""
        if column.kind not in ("int", "float"):
            return None
        spec: dict[str, object] = {"type": "number", "normalize": "standard"}
        if _is_skewed(column):
            spec = {"type": "number", "transform": "log1p", "normalize": "standard"}
        if column.kind == "float":
            return Offer(spec, 0.6)
        if _NUMBER_NAME.search(column.name):
            return Offer(spec, 0.7)
        if (column.minimum is not None and column.minimum < 0) or _is_skewed(column):
            return Offer(spec, 0.5, "integers with gaps; perhaps an id")
        return Offer(spec, 0.3, "no ids: too large")  # ids are offered with more confidence, unless they are refused


def _is_skewed(column: ColumnProfile) -> bool:
    """Say whether the largest value lies far above the usual ones, and none far below 0."""
    if column.minimum is None or column.maximum is None:
        return False
    usual = max(median(map(float, column.sample)), 1.0)
    return column.minimum >= -0.01 * column.maximum and column.maximum > 20 * usual
