from typing import Any

import polars as pl
import pytest

from recsys.errors import DataError
from recsys.sources.json_rows import json_frame
from recsys.sources.location import RowLocation


def column(values: list[Any]) -> pl.Series:
    return json_frame([{"x": value} for value in values], ["x"], RowLocation("rows"))["x"]


@pytest.mark.parametrize(
    ("values", "dtype", "read"),
    [
        ([1, None, -(2**63)], pl.Int64(), None),
        ([2**63, 1], pl.UInt64(), None),
        ([2**62 + 1, 3.0], pl.Int64(), [2**62 + 1, 3]),
        ([1, 2.5, None], pl.Float64(), [1.0, 2.5, None]),
        (["a", None, ""], pl.String(), None),
        (["a", 7], pl.String(), ["a", "7"]),
        ([True, None], pl.Boolean(), None),
        ([None, None], pl.Null(), None),
        ([["a"], [], None, ["b", None]], pl.List(pl.String), [["a"], [], [], ["b", None]]),
        ([[1, 2.5], []], pl.List(pl.Float64), [[1.0, 2.5], []]),
        ([[], None], pl.List(pl.Null), [[], []]),
    ],
)
def test_a_column_has_the_type_that_holds_its_values(values: list[Any], dtype: pl.DataType, read: Any) -> None:
    found = column(values)
    assert (found.dtype, found.to_list()) == (dtype, values if read is None else read)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([1, True], "expected an integer as in other rows, got True (row 2)"),
        (["a", 1, 2.5], "expected a text as in other rows, got 2.5 (row 3)"),
        ([None, {"a": 1}], "expected a text, a number or a boolean, got {'a': 1} (row 2)"),
        ([[1], 2], "expected a list as in other rows, got 2 (row 2)"),
        ([[1], [], [2, "b", None, False]], "expected an integer as in other rows, got False (row 3)"),
        ([[[1]], []], "expected a text, a number or a boolean, got [1] (row 1)"),
        ([1, 2**64], "expected an integer of 64 bits, got 18446744073709551616 (row 2)"),
        ([-1, 2**63], "expected an integer of 64 bits, got 9223372036854775808 (row 2)"),
        ([0.5, 10**400], "expected an integer of 64 bits, got 1000"),
        ([0, 10**5000], "expected an integer of 64 bits, got a longer one (row 2)"),
        (["a", "\ud800"], "expected Unicode text, got '\\ud800' (row 2)"),
    ],
)
def test_a_value_that_fits_neither_json_nor_its_column_is_named(values: list[Any], problem: str) -> None:
    with pytest.raises(DataError) as error:
        column(values)
    assert str(error.value).startswith(f"rows: column x: {problem}")
    assert (error.value.column, error.value.row is not None) == ("x", True)


def test_each_row_must_have_each_column_and_may_have_others() -> None:
    assert json_frame([{"x": 1, "y": [{}]}], ["x"], RowLocation()).columns == ["x"]
    with pytest.raises(DataError, match=r"column y: is missing; write null where there is no value \(row 2\)"):
        json_frame([{"x": 1, "y": 2}, {"x": 1}], ["x", "y"], RowLocation())
