"""Raw columns -> canonical columns: one for each feature, of one of four types, named by the feature.

id: Int64 key. ids, sequence: List(Int64) of keys. number, bucket: Float64. datetime: Int64 Unix seconds.
Crosses are made of the keys of other features and have no column here.
"""

import polars as pl

from recsys.config.features import DatetimeFeature, Feature, IdFeature, IdsFeature, SequenceFeature
from recsys.config.resolved import ResolvedConfig, column_of
from recsys.features.fingerprint import KeyKind
from recsys.features.lists import to_key_lists
from recsys.features.state import TransformState
from recsys.features.times import to_seconds
from recsys.features.values import BadColumn, BadValue, to_keys, to_numbers
from recsys.sources.location import RowLocation, no_column

__all__ = ["canonical", "input_columns"]


def input_columns(resolved: ResolvedConfig) -> list[str]:
    """Return the columns that the features read, each once."""
    columns = [column_of(name, feature) for name, feature in resolved.features.items()]
    return list(dict.fromkeys(column for column in columns if column is not None))


def canonical(
    frame: pl.DataFrame, resolved: ResolvedConfig, state: TransformState, place: RowLocation | None = None
) -> pl.DataFrame:
    """Read each feature's column of a raw frame; other columns are not needed and not looked at.

    Args:
        frame: raw rows.
        resolved: says what the columns mean.
        state: only `key_kinds` is used.
        place: where the rows come from, for messages.

    Returns:
        One column for each feature but crosses, as many rows as `frame`. No nulls anywhere; see the module.

    Raises:
        DataError: a column is missing, or a column or value is not what the plan promises.
    """
    place = place or RowLocation()
    columns = []
    for name, feature in resolved.features.items():
        column = column_of(name, feature)
        if column is None:
            continue
        if column not in frame.columns:
            raise no_column(place.source, column, frame.columns)
        try:
            series = _canonical_series(frame[column], feature, state.key_kinds.get(name, "int"))
        except BadColumn as error:
            raise place.column(column, str(error)) from error
        except BadValue as error:
            raise place.value(column, str(error), error.position) from error
        columns.append(series.alias(name))
    return pl.DataFrame(columns)


def _canonical_series(series: pl.Series, feature: Feature, kind: KeyKind) -> pl.Series:
    if isinstance(feature, IdFeature):
        return to_keys(series, kind)
    if isinstance(feature, IdsFeature | SequenceFeature):
        return to_key_lists(series, kind, feature.separator)
    if isinstance(feature, DatetimeFeature):
        return to_seconds(series, feature)
    return to_numbers(series)
