from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from recsys.features.fingerprint import NULL_KEY, xxhash64_keys
from recsys.features.lists import KeyLists, key_lists, list_series, to_key_lists
from recsys.features.values import BadColumn, BadValue


def rows(lists: KeyLists) -> list[list[int]]:
    bounds = lists.offsets.tolist()
    return [lists.values[start:end].tolist() for start, end in pairwise(bounds)]


def test_null_and_empty_lists_are_empty_and_null_entries_have_the_null_key() -> None:
    series = pl.Series([[1, None, 3], [], None, [4]])
    assert to_key_lists(series, "int", None).to_list() == [[1, NULL_KEY, 3], [], [], [4]]


def test_text_is_split_and_the_empty_text_holds_nothing() -> None:
    a, b, empty = xxhash64_keys(pl.Series(["a", "b", ""])).to_list()
    series = pl.Series(["a|b", "", None, "b", "a||b"])
    assert to_key_lists(series, "text", "|").to_list() == [[a, b], [], [], [b], [a, empty, b]]


def test_texts_may_be_lists_as_other_programs_write_them() -> None:
    assert to_key_lists(pl.Series(["[1, null]", "[2 3]", "[]", ""]), "int", None).to_list() == [
        [1, NULL_KEY],
        [2, 3],
        [],
        [],
    ]


@pytest.mark.parametrize("padding", [0, "0"])
@pytest.mark.parametrize(
    "series", [pl.Series([[0, 3, 0], [0], [], None, [7]]), pl.Series(["0|3|0", "0", "", None, "7"])]
)
def test_padding_is_no_entry(series: pl.Series, padding: int | str) -> None:
    assert to_key_lists(series, "int", "|", padding).to_list() == [[3], [], [], [], [7]]
    keys = [xxhash64_keys(pl.Series([text])).to_list() for text in "37"]
    assert to_key_lists(series, "text", "|", padding).to_list() == [keys[0], [], [], [], keys[1]]


def test_a_padding_that_is_no_integer_is_refused_where_the_column_holds_integers() -> None:
    with pytest.raises(BadColumn, match="padding: expected an integer, got 'PAD', since the column holds integers"):
        to_key_lists(pl.Series([[1]]), "int", None, "PAD")


def test_split_text_of_integers_is_read_as_integers() -> None:
    assert to_key_lists(pl.Series(["1 2", "-3"]), "int", " ").to_list() == [[1, 2], [-3]]


def test_fixed_width_arrays_are_lists() -> None:
    series = pl.Series([[1, 2], None], dtype=pl.Array(pl.Int64, 2))
    assert to_key_lists(series, "int", None).to_list() == [[1, 2], []]


def test_a_column_of_only_nulls_holds_empty_lists() -> None:
    assert to_key_lists(pl.Series([None, None]), "int", None).to_list() == [[], []]


@pytest.mark.parametrize(
    "series",
    [pl.Series([b"a|b"]), pl.Series(["a|b"], dtype=pl.Categorical), pl.Series(["a|b"], dtype=pl.Enum(["a|b"]))],
)
def test_text_is_split_however_it_is_stored(series: pl.Series) -> None:
    assert to_key_lists(series, "text", "|").to_list() == [xxhash64_keys(pl.Series(["a", "b"])).to_list()]


@pytest.mark.parametrize("inner", [pl.Null, pl.Boolean, pl.Float32, pl.Decimal(9, 2), pl.UInt64])
def test_entries_of_every_type_with_keys_are_read(inner: pl.DataType) -> None:
    series = pl.Series([[None], [], None], dtype=pl.List(inner))
    assert to_key_lists(series, "int", None).to_list() == [[NULL_KEY], [], []]


@pytest.mark.parametrize("inner", [pl.Date, pl.Struct({"a": pl.Int8}), pl.List(pl.Int8)])
def test_lists_of_what_has_no_keys_are_refused_though_they_are_empty(inner: pl.DataType) -> None:
    with pytest.raises(BadColumn, match=r"expected ids .*, the column holds List"):
        to_key_lists(pl.Series([[]], dtype=pl.List(inner)), "int", None)


def test_a_bad_entry_is_reported_with_its_row() -> None:
    with pytest.raises(BadValue, match="expected an integer, got 'x'") as error:
        to_key_lists(pl.Series(["1|2", "", None, "3|x"]), "int", "|")
    assert error.value.position == 3


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.Boolean, pl.Date])
def test_single_values_are_no_lists(dtype: pl.DataType) -> None:
    with pytest.raises(BadColumn, match="expected lists, the column holds"):
        to_key_lists(pl.Series([], dtype=dtype), "int", None)


def test_ids_keep_the_first_and_sequences_the_last_entries() -> None:
    lists = key_lists(pl.Series([[1, 2, 3], [], [4], [5, 6]]))
    assert rows(lists.first(2)) == [[1, 2], [], [4], [5, 6]]
    assert rows(lists.last(2)) == [[2, 3], [], [4], [5, 6]]
    assert rows(lists.last(1)) == [[3], [], [4], [6]]


@pytest.mark.parametrize("series", [pl.Series([[1], [2, 3], [4]]), pl.Series([], dtype=pl.List(pl.Int64))])
def test_slices_of_a_column_keep_their_own_rows(series: pl.Series) -> None:
    assert rows(key_lists(series[1:])) == series.to_list()[1:]


def test_lists_survive_the_way_to_a_column_and_back() -> None:
    lists = KeyLists(np.array([7, 8, 9]), np.array([0, 2, 2, 3]))
    assert list_series(lists).to_list() == [[7, 8], [], [9]]
    assert rows(key_lists(list_series(lists))) == [[7, 8], [], [9]]
