"""`type: ids`: the values of a row -> keys -> ids of the vocabulary."""

from typing import ClassVar

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import FeatureSection, Field, IdsFeature
from recsys.features.column_profile import ColumnProfile
from recsys.features.fingerprint import KeyKind, Keys
from recsys.features.lists import cut_lists, to_key_lists
from recsys.features.state import TransformState
from recsys.features.types.base import Offer
from recsys.features.types.keyed import KeyedHandler, encode_keys

__all__ = ["Ids"]


class Ids(KeyedHandler[IdsFeature]):
    """A list of keys a row, of which the first `max_len` are looked up in the feature's vocabulary."""

    section: ClassVar[type[FeatureSection]] = IdsFeature

    def canonicalize(self, series: pl.Series, kind: KeyKind) -> pl.Series:
        """Return the keys of each list, List(Int64)."""
        return to_key_lists(series, kind, self.feature.separator, self.feature.padding)

    def values(self, frame: pl.DataFrame) -> Keys:
        """Return the keys that are kept, of all rows."""
        return cut_lists(frame[self.name], self.feature.list_limit()).values

    def encode(self, frame: pl.DataFrame, field: Field, state: TransformState) -> pa.Array:
        """Return the ids that are kept of each row."""
        lists = cut_lists(frame[self.name], self.feature.list_limit())
        return lists.to_arrow(encode_keys(lists.values, field, state))

    @classmethod
    def suggest(cls, column: ColumnProfile) -> Offer | None:
        """Offer ids for lists, and for texts that a character splits."""
        if column.kind in ("int list", "text list"):
            note = "" if column.type.is_list else "lists that are written as text"
            return Offer({"type": "ids", "max_len": column.list_length}, 1.0, note, sees_repetition=True)
        if column.separator is None:
            return None
        spec: dict[str, object] = {"type": "ids", "separator": column.separator}
        return Offer(spec, 0.9, f"its values hold {column.separator!r}", sees_repetition=True)
