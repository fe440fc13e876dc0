"""Golden rows at the edges of what a model may be asked: made of one row of the data, for few data hold them all."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import polars as pl

from recsys.config import ResolvedConfig
from recsys.config.feature_types import DatetimeFeature, FeatureSection
from recsys.errors import DataError
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize

__all__ = ["with_edges"]

NUM_TIMES = 24
"""Rows whose times differ, in all parts of a time."""
STEP = timedelta(days=31, hours=1, minutes=7)
"""The time from one of them to the next: the steps visit all months and weekdays, and nearly all hours."""
UNSEEN = "\x01never seen"

Columns = Mapping[str, FeatureSection]


def with_edges(golden: pl.DataFrame, resolved: ResolvedConfig, state: TransformState) -> pl.DataFrame:
    """Append rows with nothing, with values that training has not seen, empty and over-long lists, and many times.

    They are copies of the row with most entries of lists, in which the columns of features are changed; columns that
    say something else too, such as the group, are not. A row that the configuration does not take is left out.

    Args:
        golden: raw rows.
        resolved: the configuration.
        state: the fitted state.
    """
    if golden.is_empty():
        return golden
    config = resolved.config
    others = {*config.labels.values(), config.weight, config.group}
    read = {feature.column_of(name): feature for name, feature in resolved.features.items()}
    columns = {name: feature for name, feature in read.items() if name is not None and name not in others}
    base, times = _fullest(golden, resolved, state)
    changes = [_nothing(base, columns), _unseen(base, columns), _empty(base, columns), _repeated(base, columns, times)]
    rows = [base.with_columns(**change) for change in changes if change]
    rows += [base.with_columns(**change) for change in _times(base, columns)]
    rows = [row.cast(golden.schema) for row in rows]  # a time of another unit becomes one of microseconds
    return pl.concat([golden, *(row for row in rows if _is_taken(row, resolved, state))])


def _fullest(golden: pl.DataFrame, resolved: ResolvedConfig, state: TransformState) -> tuple[pl.DataFrame, int]:
    """Return the row with most entries of lists, and how often its lists are to be repeated to be too long."""
    canonical = canonicalize(golden, resolved, state)
    lengths = {name: canonical[name].list.len() for name, one in canonical.schema.items() if isinstance(one, pl.List)}
    if not lengths:
        return golden[[0]], 1
    row = int(pl.DataFrame(lengths).sum_horizontal().arg_max() or 0)
    times = 1
    for name, length in lengths.items():
        limit = resolved.features[name].list_limit()
        if limit is not None and length[row] > 0:
            times = max(times, limit.max_len // length[row] + 1)
    return golden[[row]], times


def _nothing(base: pl.DataFrame, columns: Columns) -> dict[str, pl.Expr]:
    return {name: pl.lit(None, dtype=base.schema[name]) for name in columns}


def _unseen(base: pl.DataFrame, columns: Columns) -> dict[str, pl.Expr]:
    """Return values of no vocabulary, one in each list."""
    found = {}
    for name, feature in columns.items():
        dtype = base.schema[name]
        entry = dtype.inner if isinstance(dtype, pl.List) else dtype
        if feature.has_keys and (entry.is_integer() or entry == pl.String):
            value = pl.lit(UNSEEN) if entry == pl.String else entry.max()  # type: ignore[union-attr]
            found[name] = pl.concat_list(value) if isinstance(dtype, pl.List) else value
    return found


def _empty(base: pl.DataFrame, columns: Columns) -> dict[str, pl.Expr]:
    lists = [name for name in columns if isinstance(base.schema[name], pl.List)]
    return {name: pl.lit([], dtype=base.schema[name]) for name in lists}


def _repeated(base: pl.DataFrame, columns: Columns, times: int) -> dict[str, pl.Expr]:
    """Return lists that are longer than the model reads."""
    found = {}
    for name, feature in columns.items():
        separator: str | None = getattr(feature, "separator", None)
        if isinstance(base.schema[name], pl.List):
            found[name] = pl.concat_list([pl.col(name)] * times)
        elif feature.list_limit() is not None and separator is not None:
            found[name] = pl.concat_str([pl.col(name)] * times, separator=separator)
    return found


def _times(base: pl.DataFrame, columns: Columns) -> Iterator[dict[str, pl.Expr]]:
    read = {name: feature for name, feature in columns.items() if isinstance(feature, DatetimeFeature)}
    units = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}
    for n in range(1, NUM_TIMES + 1) if read else ():
        change: dict[str, pl.Expr] = {}
        for name, feature in read.items():
            if base.schema[name].is_temporal():
                change[name] = pl.col(name) + n * STEP
            elif base.schema[name].is_integer() and feature.format is None:
                change[name] = pl.col(name) + int(n * STEP.total_seconds()) * units[feature.unit]
        if change:
            yield change


def _is_taken(row: pl.DataFrame, resolved: ResolvedConfig, state: TransformState) -> bool:
    try:
        canonicalize(row, resolved, state)
    except DataError:
        return False
    return True
