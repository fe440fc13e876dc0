"""Profiles of columns, and what is suggested for them."""

from typing import Any

import polars as pl

from recsys.features.column_profile import ColumnProfile
from recsys.sources.column_types import column_type
from recsys.suggest.rules import suggest_column


def column(name: str, dtype: str, sample: tuple[str, ...], **known: Any) -> ColumnProfile:
    """A column of 10,000 rows with 1,000 values, unless told otherwise.

    Numbers are whole if the smallest, the largest and the sample are.
    """
    facts: dict[str, Any] = {"num_rows": 10_000, "num_nulls": 0, "num_distinct": 1000}
    facts |= {"numeric": "minimum" in known, "minimum": None, "maximum": None, "mean_length": None, "p95_length": None}
    facts |= known
    numbers = (facts["minimum"], facts["maximum"], *sample) if facts["numeric"] else ()
    facts["is_whole"] = bool(numbers) and all(float(number == "True" or number).is_integer() for number in numbers)
    return ColumnProfile(name=name, type=column_type(DTYPES[dtype]), sample=sample, **facts)


DTYPES = {
    str(dtype): dtype
    for dtype in (
        *(pl.Int32(), pl.Int64(), pl.UInt8(), pl.Float32(), pl.Float64(), pl.Boolean(), pl.String(), pl.Categorical()),
        *(pl.Null(), pl.Date(), pl.Time(), pl.Datetime("us"), pl.Datetime("us", "UTC"), pl.Struct({"x": pl.Int64()})),
        *(pl.List(pl.Int64()), pl.List(pl.String()), pl.List(pl.Float64()), pl.List(pl.Boolean())),
    )
}
"""Types by their names in polars."""


def ints(name: str, low: float, high: float, sample: tuple[str, ...], **known: Any) -> ColumnProfile:
    return column(name, "Int64", sample, minimum=low, maximum=high, **known)


def spec(one: ColumnProfile) -> dict[str, object]:
    found = suggest_column(one)
    assert not found.left_out, found.note
    return dict(found.spec)
