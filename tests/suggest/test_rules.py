import pytest

from recsys.features.column_profile import ColumnProfile
from recsys.suggest.rules import suggest_column
from tests.suggest.columns import column, ints, spec


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


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (ints("row", 0, 9999, ("0", "1"), num_distinct=9999), "nearly every row has a value of its own"),
        (column("url", "String", ("a",), num_nulls=5000, num_distinct=4900), "nearly every row has a value of its own"),
        (column("site", "String", ("a",), num_distinct=1), "the same value in every row"),
        (column("site", "Null", (), num_nulls=10_000, num_distinct=0), "no values"),
        (
            column("vector", "List(Float64)", ("0.1",), minimum=0.0, maximum=1.0),
            "there is no feature type for lists of fractions",
        ),
        (ints("is_purchased", 0, 1, ("0", "1"), num_distinct=2), "looks like an outcome"),
    ],
)
def test_columns_that_help_no_model_are_left_out(one: ColumnProfile, reason: str) -> None:
    found = suggest_column(one)
    assert found.left_out
    assert found.note.startswith(reason)


@pytest.mark.parametrize(("leak", "left_out"), [(0.995, True), (0.004, True), (0.98, False), (0.5, False)])
def test_a_column_that_knows_the_answer_is_left_out(leak: float, left_out: bool) -> None:
    found = suggest_column(column("city", "String", ("paris",)), leak=leak)
    assert found.left_out == left_out
    assert ("alone it ranks the labels with AUC 0.99" in found.note) == left_out
