import math
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from recsys.features.fingerprint import NULL_KEY, xxhash64_keys
from recsys.features.values import BadColumn, BadValue, key_kind, to_keys, to_numbers


def hashes(*texts: str) -> list[int]:
    return xxhash64_keys(pl.Series(texts)).to_list()


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (pl.Series([3, None, -5], dtype=pl.Int16), [3, NULL_KEY, -5]),
        (pl.Series([True, False, None]), [1, 0, NULL_KEY]),
        (pl.Series([2**63, 2**64 - 1, 7], dtype=pl.UInt64), [-(2**63), -1, 7]),
        (pl.Series([2**63 - 1, -(2**63) + 1]), [2**63 - 1, -(2**63) + 1]),
        (pl.Series([4.0, None, float("nan"), -2.0]), [4, NULL_KEY, NULL_KEY, -2]),
        (pl.Series(["12", "-3", None, "", "18446744073709551615"]), [12, -3, NULL_KEY, NULL_KEY, -1]),
        (pl.Series(["12.0", "-3.", "5"]), [12, -3, 5]),
        (pl.Series([Decimal("12.00"), None, Decimal(-3)]), [12, NULL_KEY, -3]),
        (pl.Series([12.0, None], dtype=pl.Float16), [12, NULL_KEY]),
        (pl.Series([None, None]), [NULL_KEY, NULL_KEY]),
        (pl.Series([], dtype=pl.Int64), []),
    ],
)
def test_integer_keys_are_the_values(series: pl.Series, expected: list[int]) -> None:
    assert to_keys(series, "int").to_list() == expected


@pytest.mark.parametrize(
    "series",
    [
        pl.Series(["12", "b"]),
        pl.Series(["12", "b"], dtype=pl.Categorical),
        pl.Series(["12", "b"], dtype=pl.Enum(["b", "12"])),
        pl.Series([b"12", b"b"]),
    ],
)
def test_text_keys_do_not_depend_on_how_text_is_stored(series: pl.Series) -> None:
    assert to_keys(series, "text").to_list() == hashes("12", "b")


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([12, -3]),
        pl.Series([12.0, -3.0]),
        pl.Series([12, -3], dtype=pl.Int8),
        pl.Series([Decimal("12.0"), Decimal(-3)]),
    ],
)
def test_integers_where_text_was_fitted_are_hashed_as_decimal_text(series: pl.Series) -> None:
    assert to_keys(series, "text").to_list() == hashes("12", "-3")


@pytest.mark.parametrize(
    ("series", "kind", "problem", "position"),
    [
        (pl.Series(["1", "x7"]), "int", "expected an integer, got 'x7'", 1),
        (pl.Series([1.0, 2.5]), "int", "expected an id .text or a whole number., got 2.5", 1),
        (pl.Series(["1", "2.5"]), "int", "expected an integer, got '2.5'", 1),
        (pl.Series([Decimal(1), Decimal("2.5")]), "int", "expected an id .text or a whole number., got Decimal", 1),
        (pl.Series([Decimal(2) ** 64]), "int", "expected an id .text or a whole number., got Decimal", 0),
        (pl.Series([float("inf")]), "int", "expected an id .text or a whole number., got inf", 0),
        (pl.Series([b"a", b"\xff"]), "text", "expected UTF-8 text, got b'.xff'", 1),
    ],
)
def test_a_value_without_a_key_is_shown(series: pl.Series, kind: Any, problem: str, position: int) -> None:
    with pytest.raises(BadValue, match=problem) as error:
        to_keys(series, kind)
    assert error.value.position == position


@pytest.mark.parametrize("series", [pl.Series([date(2020, 1, 1)]), pl.Series([[1]]), pl.Series([{"a": 1}])])
def test_types_without_keys_are_refused(series: pl.Series) -> None:
    with pytest.raises(BadColumn, match=r"expected ids \(text, integers or booleans\), the column holds"):
        to_keys(series, "int")


def test_booleans_are_refused_where_text_was_fitted() -> None:
    with pytest.raises(BadColumn, match="expected text as in training, the column holds Boolean"):
        to_keys(pl.Series([True]), "text")


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [(pl.String(), "text"), (pl.List(pl.String()), "text"), (pl.Int8(), "int"), (pl.List(pl.Int8()), "int")],
)
def test_the_kind_of_a_column_is_that_of_its_entries(dtype: pl.DataType, kind: str) -> None:
    assert key_kind(dtype) == kind


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (pl.Series([1, None, -3]), [1.0, None, -3.0]),
        (pl.Series([1.5, float("nan"), float("inf"), float("-inf"), 1e300, None]), [1.5, None, None, None, None, None]),
        (pl.Series(["1.5", "-2e3", " 7 ", "", None, "inf", "nan"]), [1.5, -2000.0, 7.0, None, None, None, None]),
        (pl.Series([True, None]), [1.0, None]),
        (pl.Series([Decimal("1.25")]), [1.25]),
        (pl.Series([None, None]), [None, None]),
    ],
)
def test_missing_numbers_are_nan(series: pl.Series, expected: list[float | None]) -> None:
    numbers = to_numbers(series)
    assert numbers.null_count() == 0
    assert [None if math.isnan(x) else x for x in numbers.to_list()] == expected


def test_a_text_that_is_no_number_is_shown() -> None:
    with pytest.raises(BadValue, match="expected a number, got 'abc'") as error:
        to_numbers(pl.Series(["1", None, "abc", "d"]))
    assert error.value.position == 2


def test_lists_are_no_numbers() -> None:
    with pytest.raises(BadColumn, match=r"expected numbers, the column holds List\(Int64\)"):
        to_numbers(pl.Series([[1]]))
