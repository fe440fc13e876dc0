"""Canonical columns -> the fields the model sees, as Arrow columns."""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from recsys.config.features import BucketFeature, DatetimeFeature, NumberFeature
from recsys.config.resolved import Field, ResolvedConfig
from recsys.features.fields import list_keys, single_keys
from recsys.features.moments import Numbers
from recsys.features.state import TransformState
from recsys.features.times import part_ids

__all__ = ["arrow_type", "encode"]


def arrow_type(field: Field) -> pa.DataType:
    """Return the type of a field's column: float32 numbers, int32 ids or int64 keys, or lists of these."""
    if field.kind == "number":
        return pa.float32()
    item = pa.int64() if field.open else pa.int32()
    return item if field.kind == "id" else pa.list_(item)


def encode(frame: pl.DataFrame, resolved: ResolvedConfig, state: TransformState) -> pa.RecordBatch:
    """Turn canonical rows into prepared rows: one column for each field, in the order of `plan.fields`."""
    schema = pa.schema([pa.field(field.name, arrow_type(field), nullable=False) for field in resolved.fields])
    return pa.record_batch([_column(frame, resolved, state, field) for field in resolved.fields], schema=schema)


def _column(frame: pl.DataFrame, resolved: ResolvedConfig, state: TransformState, field: Field) -> pa.Array:
    feature = resolved.features[field.feature]
    if isinstance(feature, NumberFeature):
        return pa.array(state.numbers[field.feature].apply(frame[field.feature].to_numpy()))
    if isinstance(feature, BucketFeature):
        return pa.array(_bucket_ids(frame[field.feature].to_numpy(), state.boundaries[field.feature]))
    if isinstance(feature, DatetimeFeature):
        parts = {f"{field.feature}.{part}": part for part in feature.parts}
        return pa.array(part_ids(frame[field.feature].to_numpy(), parts[field.name]))
    if field.kind == "id":
        keys = single_keys(frame, resolved, field)
        return pa.array(keys if field.open else state.vocabularies[field.name].encode(keys))
    lists = list_keys(frame, resolved, field)
    assert field.vocabulary is not None
    values = lists.values if field.open else state.vocabularies[field.vocabulary].encode(lists.values)
    return pa.ListArray.from_arrays(pa.array(lists.offsets.astype(np.int32)), pa.array(values))


def _bucket_ids(numbers: Numbers, boundaries: Numbers) -> NDArray[np.int32]:
    """Number the buckets: 0 is missing, 1 + the number of boundaries at or below x otherwise."""
    ids = np.searchsorted(boundaries, numbers, side="right") + 1
    return np.where(np.isnan(numbers), 0, ids).astype(np.int32)
