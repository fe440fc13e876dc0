from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (column("a", "String", ("x",)), "text"),
        (column("a", "Categorical", ("x",)), "text"),
        (column("a", "String", ("7", "8"), minimum=1.0, maximum=9.0), "int"),
        (column("a", "String", ("7", "8"), minimum=1.0, maximum=9.5), "float"),
        (column("a", "String", ("01234", "90210"), minimum=1234.0, maximum=99999.0), "text"),
        (column("a", "UInt8", ("7",), minimum=1.0, maximum=9.0), "int"),
        (column("a", "Float32", ("7.0",), minimum=1.0, maximum=9.0), "float"),
        (column("a", "Boolean", ("True",), minimum=0.0, maximum=1.0), "bool"),
        (column("a", "Date", ("2014-10-21",)), "time"),
        (column("a", "Datetime(time_unit='us', time_zone=None)", ("2014-10-21 00:00:00",)), "time"),
        (column("a", "Time", ("00:00:00",)), "other"),
        (column("a", "List(Int64)", ("7",), is_list=True, minimum=1.0, maximum=9.0), "int list"),
        (column("a", "List(String)", ("x",), is_list=True), "text list"),
        (column("a", "List(Float64)", ("0.1",), is_list=True, minimum=0.0, maximum=1.0), "other"),
        (column("a", "List(Boolean)", ("True",), is_list=True, minimum=0.0, maximum=1.0), "other"),
        (column("a", "Struct({'x': Int64})", ()), "other"),
    ],
)
def test_kinds_do_not_depend_on_how_values_are_stored(one: ColumnProfile, kind: str) -> None:
    assert one.kind == kind


def test_text_and_flags_are_ids() -> None:
    assert spec(column("city", "String", ("paris", "rome"))) == {"type": "id"}
    assert spec(column("is_new", "Boolean", ("True",), num_distinct=2, minimum=0.0, maximum=1.0)) == {"type": "id"}


def test_ids_with_very_many_values_drop_those_seen_once() -> None:
    many = column("device", "String", ("a1",), num_rows=1_000_000, num_distinct=60_000)
    assert spec(many) == {"type": "id", "min_count": 2}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (ints("user_id", 1, 10**9, ("12", "700000")), "id"),
        (ints("itemId", 1, 10**9, ("12", "700000")), "id"),
        (ints("banner_pos", 0, 5, ("0", "1"), num_distinct=6), "id"),  # few values
        (ints("item", 957, 2000, ("973", "978")), "id"),  # no gaps
        (ints("advertiser", 5, 50_000, ("20000", "40000")), "id"),  # gaps, not skewed
        (ints("I2", -3, 15_000, ("0", "1", "2")), "number"),
        (ints("clicks_before", 0, 9000, ("0", "1", "2")), "number"),  # gaps, skewed
        (ints("balance", -900, 90_000, ("20000", "40000")), "number"),  # below 0
        (ints("price", 1, 1001, ("20", "40")), "number"),  # by its name
    ],
)
def test_integers_are_ids_or_numbers(one: ColumnProfile, expected: str) -> None:
    assert spec(one)["type"] == expected


def test_skewed_numbers_are_read_as_logarithms() -> None:
    price = column("price", "Float64", ("3.5", "7.0"), minimum=0.0, maximum=90_000.0)
    share = column("share", "Float64", ("0.0", "0.2"), minimum=0.0, maximum=1.0)
    below = column("gain", "Float64", ("3.5", "7.0"), minimum=-800.0, maximum=9000.0)
    assert spec(price) == {"type": "number", "transform": "log1p", "normalize": "standard"}
    assert spec(share) == spec(below) == {"type": "number", "normalize": "standard"}


def test_whole_floats_called_id_are_ids() -> None:
    assert spec(column("shop_id", "Float64", ("3.0", "4.0"), minimum=1.0, maximum=9000.0)) == {"type": "id"}
    assert spec(column("shop_id", "Float64", ("3.5", "4.0"), minimum=1.0, maximum=9000.0))["type"] == "number"


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (ints("ts", 1.5e9, 1.6e9, ("1500000000",)), {"parts": ["hour", "weekday"]}),
        (ints("ts", 1.5e12, 1.6e12, ("1500000000000",)), {"parts": ["hour", "weekday"], "unit": "ms"}),
        (ints("seen_by", 1.5e15, 1.6e15, ("1500000000000000",)), {"parts": ["hour", "weekday"], "unit": "us"}),
        (ints("hour", 14102100, 14103023, ("14102100",)), {"parts": ["hour", "weekday"], "format": "%y%m%d%H"}),
        (ints("day", 20141021, 20141030, ("20141021",)), {"parts": ["weekday", "day"], "format": "%Y%m%d"}),
        (column("when", "String", ("2014-10-21 13:00:00",)), {"parts": ["hour", "weekday"]}),
        (column("when", "String", ("2014-10-21",)), {"parts": ["weekday", "day"]}),
        (column("when", "String", ("21.10.2014",)), {"parts": ["weekday", "day"], "format": "%d.%m.%Y"}),
        (column("when", "Date", ("2014-10-21",)), {"parts": ["weekday", "day"]}),
        (column("when", "Datetime(time_unit='us', time_zone='UTC')", ()), {"parts": ["hour", "weekday"]}),
    ],
)
def test_times_are_recognised(one: ColumnProfile, expected: dict[str, object]) -> None:
    assert spec(one) == {"type": "datetime", **expected}


def test_times_may_differ_in_every_row() -> None:
    assert spec(ints("ts", 1.5e9, 1.6e9, ("1500000000",), num_distinct=10_000))["type"] == "datetime"


def test_ids_in_the_range_of_times_are_ids() -> None:
    assert spec(ints("user_id", 1.5e9, 1.6e9, ("1500000000",)))["type"] == "id"
    assert spec(ints("hash", 7e8, 4e9, ("1500000000",)))["type"] == "id"
    assert spec(ints("model", 20141021, 20141030, ("20141021",)))["type"] == "id"


@pytest.mark.parametrize(
    ("sample", "separator"),
    [
        (("a|b", "b", "c|a"), "|"),
        (("Science Fiction|Drama", "Drama|War"), "|"),
        (("1,2,3", "7,8"), ","),
        (("1 2 3", "7 8"), " "),
        (("Paris, Texas", "Rome, Georgia"), None),
        (("new york", "san jose"), None),
        (("a|b", "b", "c"), None),
        (("paris", "rome"), None),
    ],
)
def test_text_with_a_separator_holds_several_ids(sample: tuple[str, ...], separator: str | None) -> None:
    one = column("tags", "String", sample)
    assert one.separator == separator
    assert spec(one) == ({"type": "id"} if separator is None else {"type": "ids", "separator": separator})


def test_entries_have_a_kind() -> None:
    assert column("a", "String", ("1|2", "3")).entry_kind == "int"
    assert column("a", "String", ("x|2", "3|y")).entry_kind == "text"
    assert column("a", "List(String)", ("x",), is_list=True).entry_kind == "text"


def test_lists_keep_95_percent_of_the_rows_whole() -> None:
    genres = column("genres", "List(String)", ("a",), is_list=True, mean_length=2.5, p95_length=6)
    assert spec(genres) == {"type": "ids", "max_len": 6}


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (ints("row", 0, 9999, ("0", "1"), num_distinct=9999), "nearly every row has a value of its own"),
        (column("url", "String", ("a",), num_nulls=5000, num_distinct=4900), "nearly every row has a value of its own"),
        (column("site", "String", ("a",), num_distinct=1), "the same value in every row"),
        (column("site", "Null", (), num_nulls=10_000, num_distinct=0), "no values"),
        (column("vector", "List(Float64)", ("0.1",), is_list=True), r"there is no feature type for List\(Float64\)"),
        (ints("is_purchased", 0, 1, ("0", "1"), num_distinct=2), "looks like an outcome"),
    ],
)
def test_columns_that_help_no_model_are_left_out(one: ColumnProfile, reason: str) -> None:
    found = suggest_column(one)
    assert found.left_out
    assert found.note.startswith(reason.replace("\\", ""))


def test_a_value_or_none_is_a_feature() -> None:
    assert spec(column("coupon", "String", ("x",), num_nulls=400, num_distinct=1)) == {"type": "id"}


@pytest.mark.parametrize(("leak", "left_out"), [(0.995, True), (0.004, True), (0.98, False), (0.5, False)])
def test_a_column_that_knows_the_answer_is_left_out(leak: float, left_out: bool) -> None:
    found = suggest_column(column("city", "String", ("paris",)), leak=leak)
    assert found.left_out == left_out
    assert ("alone it ranks the labels with AUC 0.99" in found.note) == left_out
