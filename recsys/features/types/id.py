"""`type: id`: the value of a row -> a key -> an id of the vocabulary."""

import re
from typing import ClassVar

import polars as pl
import pyarrow as pa

from recsys.config.feature_types import FeatureSection, Field, IdFeature
from recsys.features.column_profile import ColumnProfile
from recsys.features.fingerprint import KeyKind
from recsys.features.state import TransformState
from recsys.features.types.base import Offer
from recsys.features.types.keyed import KeyedHandler, encode_keys
from recsys.features.values import to_keys

__all__ = ["ID_NAME", "Id"]

ID_NAME = re.compile(r"(^|_)(id|ids|code|zip|postcode|category|cate|cat|type|brand|shop|sku|uid|key)(_|$)|[a-z]I[dD]$")
"""Found in the names of columns whose integers are ids and not quantities."""
_FEW_VALUES = 50
_MANY_VALUES = 50_000


class Id(KeyedHandler[IdFeature]):
    """One key a row, looked up in the feature's vocabulary."""

    section: ClassVar[type[FeatureSection]] = IdFeature

    def canonicalize(self, series: pl.Series, kind: KeyKind) -> pl.Series:
        """Return the key of each value, Int64."""
        return to_keys(series, kind)

    def encode(self, frame: pl.DataFrame, field: Field, state: TransformState) -> pa.Array:
        """Return the id of each row."""
        return pa.array(encode_keys(self.values(frame), field, state))

    @classmethod
    def suggest(cls, column: ColumnProfile) -> Offer | None:
        """Offer an id for texts and flags, and for integers that are named so, few, or without large gaps."""
        spec: dict[str, object] = {"type": "id"}
        if column.num_distinct >= _MANY_VALUES:
            spec["min_count"] = 2
        is_named = ID_NAME.search(column.name) is not None
        if column.kind in ("text", "bool"):
            return Offer(spec, 0.4)
        if column.kind == "float" and column.is_whole and is_named:
            return Offer(spec, 0.9, "whole numbers stored as floats")
        if column.kind != "int":
            return None
        if is_named:
            return Offer(spec, 0.9)
        if column.minimum is None or column.maximum is None or column.num_distinct <= _FEW_VALUES:
            return Offer(spec, 0.8, "few integers; perhaps a number")
        if column.minimum >= 0 and column.num_distinct >= 0.5 * (column.maximum - column.minimum + 1):
            return Offer(spec, 0.6, "integers without gaps; perhaps a number")
        return Offer(spec, 0.4, "integers with gaps; perhaps a number")
