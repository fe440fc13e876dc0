"""`type: sequence`: the history of a row -> keys -> ids of its vocabulary, or of that of what it is a history of."""

from typing import ClassVar

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import FeatureSection, Field, SequenceFeature
from recsys.features.fingerprint import KeyKind, Keys
from recsys.features.lists import cut_lists, to_key_lists
from recsys.features.state import TransformState
from recsys.features.types.base import Fit
from recsys.features.types.keyed import KeyedHandler, encode_keys

__all__ = ["Sequence"]


class Sequence(KeyedHandler[SequenceFeature]):
    """A list of keys a row, of which the last `max_len` are looked up in a vocabulary.

    `recsys init` takes more than one column to see that a list is a history: see `recsys.suggest.sequences`.
    """

    section: ClassVar[type[FeatureSection]] = SequenceFeature

    def canonicalize(self, series: pl.Series, kind: KeyKind) -> pl.Series:
        """Return the keys of each list, List(Int64)."""
        return to_key_lists(series, kind, self.feature.separator, self.feature.padding)

    def values(self, frame: pl.DataFrame) -> Keys:
        """Return the keys that are kept, of all rows; they count for the vocabulary that they are looked up in."""
        return cut_lists(frame[self.name], self.feature.list_limit()).values

    def fit(self) -> Fit | None:
        """Return an empty count of keys; None if another feature, which this is a history of, counts them."""
        return super().fit() if self.feature.of is None else None

    def encode(self, frame: pl.DataFrame, field: Field, state: TransformState) -> pa.Array:
        """Return the ids that are kept of each row."""
        lists = cut_lists(frame[self.name], self.feature.list_limit())
        return lists.to_arrow(encode_keys(lists.values, field, state))
