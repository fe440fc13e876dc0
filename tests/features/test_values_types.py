"""Training reads a column of one type, and what is evaluated or served has another: equal values, or an error."""

from decimal import Decimal
from itertools import product

import polars as pl
import pyarrow as pa
import pytest

from recsys.features.lists import to_key_lists
from recsys.features.values import BadColumn, BadValue, key_kind, to_keys
from recsys.sources.column_types import Family
from tests.sources.arrow_types import STORED, Stored

ONE_AND_ZERO: dict[Family, tuple[object, object]] = {
    "integer": (1, 0),
    "float": (1.0, 0.0),
    "decimal": (Decimal(1), Decimal(0)),
    "boolean": (True, False),
    "text": (b"1", b"0"),
}
SINGLE = {
    name: stored._replace(first=ONE_AND_ZERO[stored.family][0], second=ONE_AND_ZERO[stored.family][1])
    for name, stored in STORED.items()
    if stored.family in ONE_AND_ZERO and not pa.types.is_nested(stored.type) and "[3]" not in name
}
"""Columns of 1, 0 and null in each type that holds ids."""


def column(stored: Stored) -> pl.Series:
    return pl.Series(stored.array())


def refused(trained: Stored, served: Stored) -> bool:
    """Booleans are spelled as text in many ways: none of them is taken for another."""
    return trained.family == "text" and served.family == "boolean"


@pytest.mark.parametrize("trained", SINGLE)
def test_equal_values_have_equal_keys_whatever_the_types_or_the_column_is_refused(trained: str) -> None:
    kind = key_kind(column(SINGLE[trained]).dtype)
    expected = to_keys(column(SINGLE[trained]), kind).to_list()
    for name, served in SINGLE.items():
        if refused(SINGLE[trained], served):
            with pytest.raises(BadColumn, match="expected text as in training"):
                to_keys(column(served), kind)
        else:
            assert to_keys(column(served), kind).to_list() == expected, name


@pytest.mark.parametrize(("trained", "served"), list(product(["int64", "bool", "double", "string"], repeat=2)))
def test_so_have_the_entries_of_lists(trained: str, served: str) -> None:
    kind = key_kind(column(SINGLE[trained]).dtype)
    lists = {name: column(SINGLE[name]).implode() for name in (trained, served)}
    if refused(SINGLE[trained], SINGLE[served]):
        with pytest.raises(BadColumn):
            to_key_lists(lists[served], kind, None)
    else:
        assert to_key_lists(lists[served], kind, None).equals(to_key_lists(lists[trained], kind, None))


@pytest.mark.parametrize("spelled", ["true", "True", "t", "yes", "1.5", "x"])
def test_a_text_that_is_no_integer_is_refused_where_training_had_none(spelled: str) -> None:
    for kind_of in (pl.Boolean(), pl.Int64(), pl.Float32(), pl.Decimal(9, 0)):
        with pytest.raises(BadValue, match=f"expected an integer, got '{spelled}'"):
            to_keys(pl.Series(["1", spelled]), key_kind(kind_of))
