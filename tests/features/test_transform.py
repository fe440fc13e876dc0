import math

import polars as pl
import pytest

from recsys.config import (
    BucketFeature,
    CrossFeature,
    DatetimeFeature,
    IdFeature,
    IdsFeature,
    NumberFeature,
    SequenceFeature,
)
from recsys.errors import DataError
from recsys.features.fingerprint import NULL_KEY, xxhash64_keys
from recsys.features.fit import key_kinds
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize, input_columns
from recsys.sources.location import RowLocation
from tests.features.configs import resolved

SHOP = resolved(
    item=IdFeature(type="id", column="item_id"),
    city=IdFeature(type="id"),
    both=CrossFeature(type="cross", of=("item", "city")),
    tags=IdsFeature(type="ids", separator="|"),
    history=SequenceFeature(type="sequence", of="item"),
    price=NumberFeature(type="number"),
    price_bucket=BucketFeature(type="bucket", column="price", boundaries=(1.0,)),
    ts=DatetimeFeature(type="datetime"),
)
FRAME = pl.DataFrame(
    {
        "item_id": [7, None],
        "city": ["Ulm", ""],
        "tags": ["a|b", None],
        "history": ["7|8", None],
        "price": [2.5, float("inf")],
        "ts": [60, None],
        "unused": [1, 2],
    }
)


def state(frame: pl.DataFrame = FRAME) -> TransformState:
    return TransformState(key_kinds=key_kinds(SHOP, frame.schema))


def test_every_feature_but_crosses_becomes_a_column_of_its_type() -> None:
    frame = FRAME.with_columns(pl.col("history").str.split("|"))
    result = canonicalize(frame, SHOP, state())
    ulm, empty, a, b = xxhash64_keys(pl.Series(["Ulm", "", "a", "b"])).to_list()
    keys = pl.List(pl.Int64)
    assert result.schema == {
        "item": pl.Int64,
        "city": pl.Int64,
        "tags": keys,
        "history": keys,
        "price": pl.Float64,
        "price_bucket": pl.Float64,
        "ts": pl.Int64,
    }
    assert result["item"].to_list() == [7, NULL_KEY]
    assert result["city"].to_list() == [ulm, empty]
    assert result["tags"].to_list() == [[a, b], []]
    assert result["history"].to_list() == [[7, 8], []]
    assert result["ts"].to_list() == [60, NULL_KEY]
    for column in ("price", "price_bucket"):
        assert result[column][0] == 2.5
        assert math.isnan(result[column][1])


def test_a_sequence_has_the_keys_of_what_it_is_of() -> None:
    assert state().key_kinds == {"item": "int", "city": "text", "tags": "text", "history": "int"}


def test_columns_are_read_once_and_targets_are_not_needed() -> None:
    assert input_columns(SHOP) == ["item_id", "city", "tags", "history", "price", "ts"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.Series("price", ["1", "abc"]), "day.csv: column price: expected a number, got 'abc' .row 102."),
        (pl.Series("price", [[1.0], [2.0]]), "day.csv: column price: expected numbers, the column holds List"),
        (pl.Series("item_id", ["1", "abc"]), "day.csv: column item_id: expected an integer, got 'abc' .row 102."),
        (pl.Series("history", [[1.0], [2.0, 2.5]]), "day.csv: column history: expected an id .*, got 2.5 .row 102."),
        (pl.Series("city", [[1], [2]]), "day.csv: column city: expected ids .*, the column holds List"),
        (pl.Series("ts", ["soon", None]), "day.csv: column ts: expected a Unix time .*, got 'soon' .row 101."),
    ],
)
def test_a_broken_promise_names_file_column_value_and_row(change: pl.Series, message: str) -> None:
    frame = FRAME.with_columns(pl.Series("history", [[7], [8]])).with_columns(change)
    with pytest.raises(DataError, match=message):
        canonicalize(frame, SHOP, state(), RowLocation("day.csv", 100))


def test_text_lists_need_a_separator() -> None:
    with pytest.raises(DataError, match=r"^column history: expected a list such as .* \(give `separator`"):
        canonicalize(FRAME, SHOP, state())


def test_a_missing_column_is_named_with_its_neighbour() -> None:
    with pytest.raises(DataError, match=r"day.csv: no column 'city'; did you mean 'citi'\?"):
        canonicalize(FRAME.rename({"city": "citi"}), SHOP, state(), RowLocation("day.csv"))


ALIGNED = ["history", "marks"]
RATED = resolved(
    item=IdFeature(type="id"),
    history=SequenceFeature(type="sequence", of="item", max_len=2),
    marks=SequenceFeature(type="sequence", behaviour="history", max_len=2),
)


@pytest.mark.parametrize("longer", ALIGNED)
def test_histories_that_are_not_aligned_are_an_error_with_file_row_and_lengths(longer: str) -> None:
    """Also where they are cut to equal lengths, as here to two entries."""
    lists = {name: [[1, 2, 3], [1, 2, 3], [4, 5, 6, 7]] if name == longer else [[1, 2, 3]] * 3 for name in ALIGNED}
    frame = pl.DataFrame(lists, schema=dict.fromkeys(ALIGNED, pl.List(pl.Int64)))
    lengths = "4 and 3" if longer == "history" else "3 and 4"
    message = f"history, marks: sequences of one behaviour must be equally long, got {lengths} entries"
    with pytest.raises(DataError, match=rf"^day\.csv: column marks: {message} \(row 103\)$"):
        canonicalize(frame, RATED, TransformState(), RowLocation("day.csv", 100), features=ALIGNED)
    canonicalize(frame, RATED, TransformState(), features=ALIGNED[:1])
