"""Raw columns -> canonical columns -> the fields that the model sees.

Canonical columns have one of four types, and a feature's name. id: Int64 keys. ids, sequence: List(Int64) of keys.
number, bucket: Float64. datetime: Int64 Unix seconds. A cross is made of the keys of other features and has none.
"""

from collections.abc import Collection
from typing import assert_never

import numpy as np
import polars as pl
import pyarrow as pa

from recsys.config.feature_types import Field
from recsys.config.resolved import ResolvedConfig
from recsys.features.coverage import ChunkCounter, flat_ids
from recsys.features.lists import key_lists, unequal_lengths
from recsys.features.state import TransformState
from recsys.features.types import handlers_of
from recsys.features.values import BadColumn, BadValue
from recsys.sources.location import RowLocation, no_column

__all__ = ["arrow_type", "canonical_inputs", "canonicalize", "encode", "input_columns"]


def input_columns(resolved: ResolvedConfig) -> list[str]:
    """Return the columns that the features read, each once."""
    columns = [feature.column_of(name) for name, feature in resolved.features.items()]
    return list(dict.fromkeys(column for column in columns if column is not None))


def canonicalize(
    frame: pl.DataFrame,
    resolved: ResolvedConfig,
    state: TransformState,
    location: RowLocation | None = None,
    *,
    features: Collection[str] | None = None,
) -> pl.DataFrame:
    """Read each feature's column of a raw frame; other columns are not needed and not looked at.

    Args:
        frame: raw rows.
        resolved: the configuration, which tells what the columns mean.
        state: a state of which only `key_kinds` is used.
        location: source of the rows, for messages.
        features: names of the features to read; all if not given.

    Returns:
        One column for each of them that reads one, as many rows as `frame`. No nulls anywhere; see the module.

    Raises:
        DataError: a column is missing, a column or value is not what the configuration promises, or sequences of one
            behaviour have different lengths in a row.
    """
    location = location or RowLocation()
    columns = []
    for name, handler in handlers_of(resolved.features).items():
        column = handler.feature.column_of(name)
        if column is None or (features is not None and name not in features):
            continue
        if column not in frame.columns:
            raise no_column(location.source, column, frame.columns)
        try:
            series = handler.canonicalize(frame[column], state.key_kinds.get(name, "int"))
        except BadColumn as error:
            raise location.column(column, str(error)) from error
        except BadValue as error:
            raise location.value(column, str(error), error.position) from error
        columns.append(series.alias(name))
    canonical = pl.DataFrame(columns)
    _check_alignment(canonical, resolved, location)
    return canonical


def _check_alignment(canonical: pl.DataFrame, resolved: ResolvedConfig, location: RowLocation) -> None:
    """Check that the sequences of each behaviour, as far as they are read, have equally many entries in every row."""
    for sequences in resolved.aligned():
        lengths = {name: canonical[name].list.len() for name in sequences if name in canonical.columns}
        names = list(lengths)
        for name in names[1:]:
            differs = lengths[name] != lengths[names[0]]
            if differs.any():
                row = int(differs.arg_max() or 0)
                first, second = lengths[names[0]][row], lengths[name][row]
                problem = f"{names[0]}, {name}: {unequal_lengths(first, second)}"
                raise location.value(resolved.features[name].column_of(name) or name, problem, row)


def arrow_type(field: Field) -> pa.DataType:
    """Return the type of a field's prepared column: float32 numbers, int32 ids or int64 keys, or lists of these."""
    item = pa.int64() if field.open else pa.int32()
    match field.kind:
        case "number":
            return pa.float32()
        case "id":
            return item
        case "ids" | "sequence":
            return pa.list_(item)
        case _:
            assert_never(field.kind)


def canonical_inputs(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return canonical columns as an exported model takes them: NAME, or NAME.values and NAME.lengths of lists."""
    inputs: dict[str, np.ndarray] = {}
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.List):
            lists = key_lists(frame[name])
            inputs |= {f"{name}.values": lists.values, f"{name}.lengths": np.diff(lists.offsets)}
        else:
            inputs[name] = frame[name].to_numpy()
    return inputs


def encode(
    frame: pl.DataFrame, resolved: ResolvedConfig, state: TransformState, counter: ChunkCounter | None = None
) -> pa.RecordBatch:
    """Turn canonical rows into prepared rows: one column for each field, in the order of `resolved.fields`.

    Args:
        frame: canonical rows.
        resolved: their features.
        state: the fitted state.
        counter: counts unknown and missing values, if given.
    """
    handlers = handlers_of(resolved.features)
    schema = pa.schema([pa.field(field.name, arrow_type(field), nullable=False) for field in resolved.fields])
    columns = []
    for field in resolved.fields:
        columns.append(handlers[field.feature].encode(frame, field, state))
        if counter is not None:
            counter.count(field, flat_ids(columns[-1]) if field.has_ids else None)
    return pa.record_batch(columns, schema=schema)
