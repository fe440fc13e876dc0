"""A feature type of one's own, as a user would write it."""

from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import ColumnSection
from recsys.features.types import FeatureHandler
from recsys.features.values import to_numbers


class SignFeature(ColumnSection):
    """Whether a number is above a threshold."""

    kind: ClassVar[Any] = "number"
    input: ClassVar[Any] = "float64"

    type: Literal["sign"]
    above: float = 0.0


class Sign(FeatureHandler[SignFeature]):
    """1 above the threshold, else 0."""

    section = SignFeature

    def canonicalize(self, series: pl.Series, kind: Any) -> pl.Series:
        return to_numbers(series)

    def encode(self, frame: pl.DataFrame, field: Any, state: Any) -> pa.Array:
        return pa.array((self.values(frame) > self.feature.above).astype("float32"))
