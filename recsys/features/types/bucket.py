"""`type: bucket`: the number of a row -> the id of the range that it lies in."""

from typing import ClassVar

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from recsys.config.feature_types import BucketFeature, FeatureSection, Field
from recsys.features.fingerprint import KeyKind
from recsys.features.moments import Numbers
from recsys.features.quantiles import OrderedCounts, quantile_boundaries, to_ordered
from recsys.features.state import TransformState
from recsys.features.types.base import FeatureHandler, Fit
from recsys.features.values import to_numbers

__all__ = ["Bucket", "bucket_ids"]


class BoundariesFit(Fit):
    """Counts the numbers of a feature, if its boundaries are quantiles."""

    def __init__(self, name: str, feature: BucketFeature) -> None:
        self.name = name
        self.feature = feature
        self.counts = OrderedCounts()

    def add(self, values: Numbers) -> None:
        """Count numbers, shape (rows,); NaN is missing."""
        if self.feature.quantiles is not None:
            self.counts.add(to_ordered(values[~np.isnan(values)]))

    def merge(self, other: "BoundariesFit") -> None:
        """Count all that `other` has counted."""
        self.counts.merge(other.counts)

    def finish(self, state: TransformState) -> None:
        """Write the boundaries."""
        if self.feature.quantiles is not None:
            state.boundaries[self.name] = quantile_boundaries(self.counts, self.feature.quantiles)
        else:
            state.boundaries[self.name] = np.array(self.feature.boundaries, dtype=np.float64)


class Bucket(FeatureHandler[BucketFeature]):
    """One number a row, of which the model sees the range."""

    section: ClassVar[type[FeatureSection]] = BucketFeature

    def canonicalize(self, series: pl.Series, kind: KeyKind) -> pl.Series:
        """Return the numbers, Float64; NaN where they are missing."""
        del kind
        return to_numbers(series)

    def fit(self) -> Fit | None:
        """Return a fit without any numbers."""
        return BoundariesFit(self.name, self.feature)

    def encode(self, frame: pl.DataFrame, field: Field, state: TransformState) -> pa.Array:
        """Return the bucket of each row."""
        return pa.array(bucket_ids(self.values(frame), state.boundaries[field.name]))


def bucket_ids(numbers: Numbers, boundaries: Numbers) -> NDArray[np.int32]:
    """Return the bucket of each number, (rows,): 0 if missing, else 1 + the number of boundaries at or below it."""
    ids = np.searchsorted(boundaries, numbers, side="right") + 1
    return np.where(np.isnan(numbers), 0, ids).astype(np.int32)
