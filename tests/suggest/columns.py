"""Profiles of columns, and what is suggested for them."""

from typing import Any

from recsys.features.column_profile import ColumnProfile
from recsys.suggest.rules import suggest_column


def column(name: str, dtype: str, sample: tuple[str, ...], **known: Any) -> ColumnProfile:
    """A column of 10,000 rows with 1,000 values, unless told otherwise."""
    facts: dict[str, Any] = {"num_rows": 10_000, "num_nulls": 0, "num_distinct": 1000, "is_list": False}
    facts |= {"numeric": "minimum" in known, "minimum": None, "maximum": None, "mean_length": None, "p95_length": None}
    return ColumnProfile(name=name, dtype=dtype, sample=sample, **(facts | known))


def ints(name: str, low: float, high: float, sample: tuple[str, ...], **known: Any) -> ColumnProfile:
    return column(name, "Int64", sample, minimum=low, maximum=high, **known)


def spec(one: ColumnProfile) -> dict[str, object]:
    found = suggest_column(one)
    assert not found.left_out, found.note
    return dict(found.spec)
