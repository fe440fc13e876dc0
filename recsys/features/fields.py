"""The keys of one field in a canonical frame: what is counted when fitting and looked up when encoding."""

import polars as pl

from recsys.config.features import CrossFeature, IdsFeature, SequenceFeature
from recsys.config.resolved import Field, ResolvedConfig
from recsys.features.fingerprint import Keys, cross_key
from recsys.features.lists import KeyLists, key_lists

__all__ = ["list_keys", "single_keys"]


def single_keys(frame: pl.DataFrame, resolved: ResolvedConfig, field: Field) -> Keys:
    """Return the keys of an id or a cross, one a row."""
    feature = resolved.features[field.feature]
    if isinstance(feature, CrossFeature):
        return cross_key([frame[member].to_numpy() for member in feature.of])
    return frame[field.feature].to_numpy()


def list_keys(frame: pl.DataFrame, resolved: ResolvedConfig, field: Field) -> KeyLists:
    """Return the keys the model sees: the first `max_len` of ids, the last `max_len` of a sequence."""
    feature = resolved.features[field.feature]
    lists = key_lists(frame[field.feature])
    if isinstance(feature, SequenceFeature):
        return lists.last(feature.max_len)
    assert isinstance(feature, IdsFeature), f"{field.name} holds no lists"
    return lists.first(feature.max_len)
