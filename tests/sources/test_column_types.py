import polars as pl
import pytest

from recsys.sources.column_types import USES, column_type, first_typed
from tests.sources.arrow_types import STORED


@pytest.mark.parametrize("name", STORED)
def test_every_arrow_type_has_its_place_in_the_table(name: str) -> None:
    found = column_type(pl.Series(STORED[name].array()).dtype)
    assert (found.family, found.is_list) == (STORED[name].family, "list" in name.split("<")[0])


def test_a_type_that_nothing_reads_is_refused_with_a_remedy() -> None:
    assert column_type(pl.Duration("us")).refusal("numbers") == (
        "expected numbers, the column holds Duration(time_unit='us'): store it as a number, such as seconds"
    )
    assert column_type(pl.List(pl.Struct({"a": pl.Int8()}))).refusal("ids").endswith("columns of their own")


def test_a_type_that_another_feature_reads_is_only_named() -> None:
    assert column_type(pl.Date()).refusal("ids").endswith("the column holds Date")


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (pl.Int8(), pl.Float64(), True),
        (pl.UInt64(), pl.Boolean(), True),
        (pl.Decimal(20, 0), pl.Int64(), True),
        (pl.Categorical(), pl.Binary(), True),
        (pl.Date(), pl.Datetime("ns"), True),
        (pl.List(pl.Int8()), pl.Array(pl.Float64(), 2), True),
        (pl.Null(), pl.List(pl.Int8()), True),
        (pl.List(pl.Null()), pl.List(pl.String()), True),
        (pl.List(pl.Null()), pl.String(), False),
        (pl.String(), pl.Int64(), False),
        (pl.String(), pl.Boolean(), False),
        (pl.Datetime("us"), pl.Int64(), False),
        (pl.List(pl.String()), pl.List(pl.Int64()), False),
        (pl.List(pl.String()), pl.String(), False),
        (pl.Duration("us"), pl.Time(), False),
    ],
)
def test_types_agree_if_equal_values_are_read_alike(one: pl.DataType, other: pl.DataType, agree: bool) -> None:
    assert column_type(one).agrees_with(column_type(other)) == agree
    assert column_type(other).agrees_with(column_type(one)) == agree


def test_the_first_file_with_a_type_decides_and_the_first_file_names_the_columns() -> None:
    files = [
        {"a": pl.Null(), "b": pl.List(pl.Null()), "c": pl.Null(), "d": pl.Int8()},
        {"a": pl.Null(), "b": pl.List(pl.String()), "d": pl.Int64(), "e": pl.Int8()},
        {"a": pl.String(), "b": pl.Null()},
    ]
    assert first_typed(files) == {"a": pl.String(), "b": pl.List(pl.String()), "c": pl.Null(), "d": pl.Int8()}


def test_no_family_is_without_an_entry() -> None:
    assert {one.family for one in STORED.values()} == set(USES)
