"""The tensors of users and their candidates become the inputs of the model, or are refused by name."""

from typing import Any

import pytest

from recsys.errors import DataError
from recsys.serving.protocol.layout import RequestLayout, concatenate
from recsys.serving.protocol.tensors import WireTensor, from_json

LISTS = {"items.values": "(values,)", "items.lengths": "(rows,)"}
INPUTS: list[dict[str, Any]] = [
    {"name": "user", "dtype": "int64", "key": "int", "tensors": {"user": "(rows,)"}, "user": True},
    {"name": "items", "dtype": "int64", "key": "text", "tensors": LISTS, "user": True, "max_len": 2},
    {"name": "price", "dtype": "float64", "tensors": {"price": "(rows,)"}, "user": False},
    {"name": "tags", "dtype": "int64", "tensors": {"tags.values": "", "tags.lengths": ""}, "user": False},
]
LAYOUT = RequestLayout(INPUTS, [], max_rows=5, can_rank=True)
GIVEN: dict[str, tuple[str, list[Any]]] = {
    "user": ("INT64", [7, 8]),
    "items.values": ("INT64", [1, 2, 3]),
    "items.lengths": ("INT64", [3, 0]),
    "price": ("FP64", [0.5, 1, 2, 3]),
    "tags.values": ("INT64", [4]),
    "tags.lengths": ("INT64", [0, 0, 1, 0]),
    "candidates.lengths": ("INT64", [3, 1]),
}


def tensors(**changes: Any) -> list[WireTensor]:
    """Return the tensors of GIVEN with some of them changed; `__` stands for a dot."""
    given = GIVEN | {name.replace("__", "."): tensor for name, tensor in changes.items()}
    return [from_json(name, one[0], [len(one[1])], one[1]) for name, one in given.items()]


def test_users_stand_once_and_a_batch_costs_what_the_model_works_on() -> None:
    batch = LAYOUT.decode(tensors())
    assert (batch.num_rows, batch.is_ranking) == (4, True)
    assert batch.inputs["candidates.lengths"].tolist() == [3, 1]
    assert (
        batch.cost == 4 + (3 + 1) + 3 * 2
    )  # candidates, entries, and 2 entries that are kept for each of 3 candidates
    joined = concatenate([batch, batch])
    assert joined.inputs["candidates.lengths"].tolist() == [3, 1, 3, 1]
    assert joined.inputs["user"].tolist() == [7, 8, 7, 8]
    assert (joined.num_rows, joined.cost) == (8, 2 * batch.cost)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"user": ("INT64", [7])}, "column user: shape must be [2], that of candidates.lengths, got [1]"),
        ({"price": ("FP64", [1, 2])}, "column price: shape must be [4], the sum of candidates.lengths, got [2]"),
        ({"items__lengths": ("INT64", [3])}, "column items.lengths: shape must be [2], that of candidates.lengths"),
        ({"tags__lengths": ("INT64", [1])}, "column tags.lengths: shape must be [4], the sum of candidates.lengths"),
        (
            {"candidates__lengths": ("INT64", [5, -1])},
            "column candidates.lengths: must not be negative, got -1 (row 2)",
        ),
        ({"candidates__lengths": ("FP64", [3, 1])}, "column candidates.lengths: datatype must be INT64, got FP64"),
        ({"candidates__lengths": ("INT64", [5, 1])}, "a request may have 5 candidates, got 6; send several requests"),
        ({"candidates__lengths": ("INT64", [2**62] * 4)}, "a request may have 5 candidates, got 4611686018427387904"),
        ({"candidates__lengths": ("INT64", [0] * 6)}, "a request may have 5 users, got 6; send several requests"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError) as error:
        LAYOUT.decode(tensors(**changes))
    assert str(error.value).startswith(problem)
