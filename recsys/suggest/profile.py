"""Profile the columns of a raw file."""

from pathlib import Path

import polars as pl

from recsys.config.run import DataSection
from recsys.features.column_profile import ColumnProfile
from recsys.features.values import BadValue, to_numbers
from recsys.sources.source import Source, open_source

__all__ = ["profile"]

_SAMPLE = 5


def profile(path: Path, data: DataSection, max_rows: int = 1_000_000) -> list[ColumnProfile]:
    """Look at the first `max_rows` rows of a file, one column at a time.

    Raises:
        DataError: the file is missing or damaged.
    """
    source = open_source([path], data)
    return [_profiled(_first_rows(source, column, max_rows)) for column in source.columns]


def _first_rows(source: Source, column: str, max_rows: int) -> pl.Series:
    frames, num_rows = [pl.DataFrame(schema={column: source.columns[column]})], 0
    for frame in source.frames([column]):
        frames.append(frame[: max_rows - num_rows])
        num_rows += len(frames[-1])
        if num_rows == max_rows:
            break
    return pl.concat(frames).to_series()


def _profiled(series: pl.Series) -> ColumnProfile:
    if isinstance(series.dtype, pl.Array):
        series = series.arr.to_list()
    is_list = isinstance(series.dtype, pl.List)
    lengths = series.list.len().fill_null(0) if is_list else None
    entries = series.filter(lengths > 0).explode() if lengths is not None else series
    values = entries.drop_nulls()
    numbers = _numbers(values)
    finite = None if numbers is None else numbers.drop_nans()
    known = not values.dtype.is_nested()
    p95 = None if lengths is None else lengths.quantile(0.95, interpolation="higher")
    mean = None if lengths is None else lengths.mean()
    return ColumnProfile(
        name=series.name,
        dtype=str(series.dtype),
        num_rows=len(series),
        num_nulls=series.null_count(),
        num_distinct=values.n_unique() if known else 0,
        is_list=is_list,
        numeric=numbers is not None,
        minimum=_number(None if finite is None else finite.min()),
        maximum=_number(None if finite is None else finite.max()),
        mean_length=_number(mean),
        p95_length=None if p95 is None else int(p95),
        sample=_most_frequent(values) if known else (),
    )


def _numbers(values: pl.Series) -> pl.Series | None:
    """Return the values as numbers, None if they are something else."""
    if not (values.dtype == pl.String or values.dtype.is_numeric() or values.dtype == pl.Boolean) or not len(values):
        return None
    try:
        return to_numbers(values)
    except BadValue:
        return None


def _most_frequent(values: pl.Series) -> tuple[str, ...]:
    counts = values.alias("value").value_counts().sort("count", "value", descending=[True, False])
    return tuple(str(value) for value in counts["value"].head(_SAMPLE).to_list())


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
