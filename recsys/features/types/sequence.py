"""`type: sequence`: the history of a row -> keys -> ids of the vocabulary of what it is a history of."""

from typing import ClassVar

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import FeatureSection, Field, SequenceFeature
from recsys.features.fingerprint import KeyKind, Keys
from recsys.features.lists import cut_lists, to_key_lists
from recsys.features.state import TransformState
from recsys.features.types.base import FeatureHandler, Fit
from recsys.features.types.keyed import encode_keys

__all__ = ["Sequence"]


class Sequence(FeatureHandler[SequenceFeature]):
    """A list of keys a row, of which the last `max_len` are looked up in another feature's vocabulary.

    `recsys init` takes more than one column to see that a list is a history: see `recsys.suggest.sequences`.
    """

    section: ClassVar[type[FeatureSection]] = SequenceFeature

    def canonicalize(self, series: pl.Series, kind: KeyKind) -> pl.Series:
        """Return the keys of each list, List(Int64)."""
        return to_key_lists(series, kind, self.feature.separator, self.feature.padding)

    def values(self, frame: pl.DataFrame) -> Keys:
        """Return the keys that are kept, of all rows; they count for the vocabulary of what this is a history of."""
        return cut_lists(frame[self.name], self.feature.list_limit()).values

    def fit(self) -> Fit | None:
        """Return None: the feature that this is a history of counts the keys."""
        return None

    def encode(self, frame: pl.DataFrame, field: Field, state: TransformState) -> pa.Array:
        """Return the ids that are kept of each row."""
        lists = cut_lists(frame[self.name], self.feature.list_limit())
        return lists.to_arrow(encode_keys(lists.values, field, state))
