"""`type: cross`: the keys of several features -> one key -> an id of the vocabulary."""

from typing import ClassVar

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import CrossFeature, FeatureSection, Field
from recsys.features.fingerprint import Keys, cross_key
from recsys.features.state import TransformState
from recsys.features.types.keyed import KeyedHandler, encode_keys

__all__ = ["Cross"]


class Cross(KeyedHandler[CrossFeature]):
    """The keys of several features folded into one key a row, looked up in the cross's own vocabulary."""

    section: ClassVar[type[FeatureSection]] = CrossFeature

    def values(self, frame: pl.DataFrame) -> Keys:
        """Return the folded key of each row."""
        return cross_key([frame[name].to_numpy() for name in self.feature.of])

    def encode(self, frame: pl.DataFrame, field: Field, state: TransformState) -> pa.Array:
        """Return the id of each row."""
        return pa.array(encode_keys(self.values(frame), field, state))
