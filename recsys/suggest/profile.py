"""Profile the columns of a raw file."""

from dataclasses import replace
from pathlib import Path

import polars as pl
from pydantic import TypeAdapter

from recsys.config.feature_types import Feature, FeatureSection
from recsys.config.run import DataSection
from recsys.features.column_profile import ColumnProfile
from recsys.features.list_texts import split_texts
from recsys.features.times import calendar_time
from recsys.features.types import handlers_of
from recsys.features.values import BadColumn, BadValue, as_text, key_kind, to_numbers
from recsys.sources.arrow_types import ForeignType
from recsys.sources.column_types import ColumnType, column_type
from recsys.sources.source import Source, open_source
from recsys.suggest.rules import offers_for

__all__ = ["profile", "suggested_section"]

_SAMPLE = 5
_CALENDAR = (-62_000_000_000, 253_000_000_000)
"""Unix times of the years 5 and 9987."""
_FEATURE: TypeAdapter[FeatureSection] = TypeAdapter(Feature)


def profile(path: Path, data: DataSection, max_rows: int = 1_000_000) -> list[ColumnProfile]:
    """Look at the first `max_rows` rows of a file, one column at a time; a column that no feature reads has none.

    Raises:
        DataError: the file is missing or damaged.
    """
    source = open_source([path], data)
    return [
        _profiled(_first_rows(source, name, max_rows), column_type(source.columns[name])) for name in source.columns
    ]


def suggested_section(series: pl.Series, max_rows: int = 100_000) -> FeatureSection | None:
    """Return the feature that suits the first `max_rows` values of a column best; None if no type reads them.

    Integers that are not named as ids are numbers.
    """
    series = series.head(max_rows)
    offers = offers_for(_profiled(series, column_type(series.dtype)))
    numbers = [offer for offer in offers if offer.spec["type"] == "number"]
    best = offers[0] if offers and offers[0].confidence >= 0.9 else next(iter([*numbers, *offers]), None)
    return None if best is None else _FEATURE.validate_python(best.spec)


def _first_rows(source: Source, column: str, max_rows: int) -> pl.Series:
    dtype = source.columns[column]
    if not column_type(dtype).is_readable:  # whatever stands in a column that is left out, the others have a draft
        return pl.Series(column, [], dtype=pl.Null() if isinstance(dtype, ForeignType) else dtype)
    frames, num_rows = [pl.DataFrame(schema={column: dtype})], 0
    for frame in source.frames([column]):
        frames.append(frame[: max_rows - num_rows])
        num_rows += len(frames[-1])
        if num_rows == max_rows:
            break
    return pl.concat(frames).to_series()


def _profiled(series: pl.Series, found: ColumnType) -> ColumnProfile:
    lists = _lists(series, found)
    lengths = None if lists is None else lists.list.len().fill_null(0)
    entries = series if lists is None or lengths is None else lists.filter(lengths > 0).explode()
    values = _plain(entries.drop_nulls(), found)
    numbers = _numbers(values)
    finite = None if numbers is None else numbers.drop_nans()
    p95 = None if lengths is None else lengths.quantile(0.95, interpolation="higher")
    column = ColumnProfile(
        name=series.name,
        type=found,
        num_rows=len(series),
        num_nulls=series.null_count(),
        num_distinct=values.n_unique(),
        numeric=numbers is not None,
        is_whole=finite is not None and bool((finite == finite.floor()).all()),
        minimum=_number(None if finite is None else finite.min()),
        maximum=_number(None if finite is None else finite.max()),
        mean_length=_number(None if lengths is None else lengths.mean()),
        p95_length=None if p95 is None else int(p95),
        sample=_most_frequent(_near(values) if found.family == "time" else values),
    )
    if column.kind == "text":
        column = replace(column, has_decimal_commas=_has_decimal_commas(values))
    if column.separator is not None:
        entries = split_texts(values, column.separator).explode()
        column = replace(column, holds_integers=bool(entries.str.contains(r"^\d+$").all()))
    return replace(column, refused=_refused(series, column))


def _lists(series: pl.Series, found: ColumnType) -> pl.Series | None:
    """Return a column of lists, also of texts that are lists as other programs write them; None if it is none."""
    if found.is_list:
        return series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
    if found.family != "text":
        return None
    try:
        lists = split_texts(as_text(series), None)
    except BadValue:
        return None
    return lists if lists.list.len().sum() else None


def _plain(values: pl.Series, found: ColumnType) -> pl.Series:
    """Return the values in a type that can be counted and shown: none of those that no feature reads."""
    if not found.is_readable:
        return pl.Series(values.name, [], dtype=pl.Null)
    try:
        return as_text(values) if found.family == "text" else values
    except BadValue:
        return values


def _has_decimal_commas(values: pl.Series) -> bool:
    """Say whether all texts are digits with at most one comma between them, and half of them have one."""
    texts = values if values.dtype == pl.String else values.clear().cast(pl.String)
    with_comma = texts.str.contains(r"^[+-]?\d+,\d+$")
    return 2 * int(with_comma.sum()) > len(texts) and bool((with_comma | texts.str.contains(r"^[+-]?\d+$")).all())


def _near(times: pl.Series) -> pl.Series:
    """Return the times that a calendar of Python can show."""
    return times.filter(calendar_time(times, "s").is_between(*_CALENDAR))


def _refused(series: pl.Series, column: ColumnProfile) -> dict[str, str]:
    """Read the values as each type that fits the column offers, the most confident one first, until one can.

    Returns:
        The types that cannot, each with the first problem.
    """
    refused: dict[str, str] = {}
    for offer in offers_for(column):
        section = _FEATURE.validate_python(offer.spec)
        try:
            handlers_of({column.name: section})[column.name].canonicalize(series, key_kind(series.dtype))
        except (BadColumn, BadValue) as error:
            refused[str(offer.spec["type"])] = str(error)
        else:
            break
    return refused


def _numbers(values: pl.Series) -> pl.Series | None:
    """Return the values as numbers, None if they are something else."""
    try:
        return to_numbers(values) if len(values) else None
    except (BadColumn, BadValue):
        return None


def _most_frequent(values: pl.Series) -> tuple[str, ...]:
    counts = values.alias("value").value_counts().sort("count", "value", descending=[True, False])
    return tuple(str(value) for value in counts["value"].head(_SAMPLE).to_list())


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
