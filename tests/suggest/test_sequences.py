from typing import Any

import pytest

from recsys.suggest.rules import Suggestion, suggest_column
from recsys.suggest.sequences import as_sequences
from tests.suggest.columns import column as profile


def column(name: str, dtype: str, **known: Any) -> Suggestion:
    is_int = "Int" in dtype
    facts: dict[str, Any] = {"minimum": 1.0, "maximum": 1001.0} if is_int else {}
    facts |= {"sample": ("7", "9") if is_int else ("a", "b")}
    return suggest_column(profile(name, dtype, **(facts | known)))


def specs(*columns: Suggestion) -> dict[str, dict[str, object]]:
    return {one.name: dict(one.spec) for one in as_sequences(columns)}


@pytest.mark.parametrize("name", ["hist_item_ids", "clicked_items", "item_seq", "last_item_id", "itemHistory", "items"])
def test_a_list_named_after_an_id_is_its_history(name: str) -> None:
    history = column(name, "List(Int64)", mean_length=9.5, p95_length=30)
    assert specs(history, column("item_id", "Int32"))[name] == {"type": "sequence", "of": "item_id", "max_len": 30}


def test_a_list_of_another_type_is_not() -> None:
    history = column("hist_item_ids", "List(String)", mean_length=9.5, p95_length=30)
    assert specs(column("item_id", "Int64"), history)["hist_item_ids"] == {"type": "ids", "max_len": 30}


def test_a_list_named_after_no_id_is_a_set() -> None:
    genres = column("genres", "List(String)", mean_length=2.0, p95_length=4)
    assert specs(column("item_id", "Int64"), genres)["genres"] == {"type": "ids", "max_len": 4}
    history = column("hist_brands", "List(String)", mean_length=2.0, p95_length=4)
    (found,) = as_sequences([history])
    assert found.note == "perhaps a sequence, of a feature whose values it holds"


def test_a_list_named_after_a_column_that_is_left_out_is_a_set() -> None:
    history = column("hist_item_ids", "List(Int64)", mean_length=2.0, p95_length=4)
    assert specs(column("item_id", "Int64", num_distinct=10_000), history)["hist_item_ids"]["type"] == "ids"


def test_text_that_a_separator_splits_can_be_a_history() -> None:
    history = column("hist_items", "String", sample=("12|7", "9|8|12"), holds_integers=True)
    expected = {"type": "sequence", "of": "item_id", "separator": "|"}
    assert specs(history, column("item_id", "Int64"))["hist_items"] == expected


def test_histories_of_equal_lengths_are_one_behaviour() -> None:
    lengths = {"mean_length": 9.5, "p95_length": 30}
    found = specs(
        column("item_id", "Int64"),
        column("cate_id", "Int64"),
        column("hist_items", "List(Int64)", **lengths),
        column("hist_cates", "List(Int64)", **lengths),
        column("bought_items", "List(Int64)", mean_length=1.5, p95_length=3),
    )
    assert found["hist_items"]["behaviour"] == found["hist_cates"]["behaviour"] == "hist_items"
    assert "behaviour" not in found["bought_items"]


def test_a_history_of_nothing_in_the_data_joins_the_behaviour_with_its_lengths() -> None:
    lengths = {"mean_length": 9.5, "p95_length": 30}
    columns = [
        column("hist_ratings", "List(Int64)", **lengths),
        column("item_id", "Int64"),
        column("hist_items", "List(Int64)", **lengths),
        column("tags", "List(String)", **lengths),
        column("hist_moods", "List(String)", mean_length=1.5, p95_length=3),
    ]
    found = specs(*columns)
    assert found["hist_ratings"] == {"type": "sequence", "max_len": 30, "behaviour": "hist_items"}
    assert found["hist_items"]["behaviour"] == "hist_items"
    assert [found[name]["type"] for name in ("tags", "hist_moods")] == ["ids", "ids"]
    assert "behaviour" not in specs(columns[0])["hist_ratings"]
