"""The tensors of a request become the inputs of the model, or are refused by name."""

import math
from typing import Any

import numpy as np
import pytest

from recsys.errors import DataError
from recsys.features.fingerprint import NULL_KEY
from recsys.serving.protocol.layout import RequestLayout, concatenate
from recsys.serving.protocol.tensors import WireTensor, from_json

LISTS = {"items.values": "(values,)", "items.lengths": "(rows,)"}
INPUTS: list[dict[str, Any]] = [
    {"name": "user", "dtype": "int64", "key": "int", "tensors": {"user": "(rows,)"}},
    {"name": "shop", "dtype": "int64", "key": "text", "tensors": {"shop": "(rows,)"}},
    {"name": "price", "dtype": "float64", "tensors": {"price": "(rows,)"}},
    {"name": "time", "dtype": "int64", "tensors": {"time": "(rows,)"}},
    {"name": "items", "dtype": "int64", "key": "text", "tensors": LISTS},
    {"name": "shops", "dtype": "int64", "key": "int", "tensors": {"shops.values": "", "shops.lengths": ""}},
]
LAYOUT = RequestLayout(INPUTS, [["items", "shops"]], max_rows=5)
ROME = -763354753757291716
GIVEN: dict[str, tuple[str, list[Any]]] = {
    "user": ("INT64", [7, NULL_KEY]),
    "shop": ("INT64", [ROME, -1]),
    "price": ("FP64", [1.5, None]),
    "time": ("INT64", [0, NULL_KEY]),
    "items.values": ("INT64", [ROME, 2, 3]),
    "items.lengths": ("INT64", [3, 0]),
    "shops.values": ("INT64", [1, 2, 3]),
    "shops.lengths": ("INT64", [3, 0]),
}


def tensors(**changes: Any) -> list[WireTensor]:
    """Return the tensors of GIVEN with some of them changed; `__` stands for a dot, None leaves one out."""
    given = GIVEN | {name.replace("__", "."): tensor for name, tensor in changes.items()}
    return [from_json(name, one[0], [len(one[1])], one[1]) for name, one in given.items() if one]


def test_tensors_become_inputs_of_the_type_that_the_model_takes() -> None:
    batch = LAYOUT.decode(tensors())
    assert batch.num_rows == 2
    assert batch.cost == 8
    assert {name: array.dtype for name, array in batch.inputs.items()} == {
        name: np.dtype("float64" if name == "price" else "int64") for name in GIVEN
    }
    for name in ("user", "shop", "items.values", "items.lengths"):
        assert batch.inputs[name].tolist() == GIVEN[name][1]
    assert math.isnan(batch.inputs["price"][1])


def test_metadata_names_all_tensors_with_their_types() -> None:
    assert [tuple(spec) for spec in LAYOUT.specs] == [(name, datatype) for name, (datatype, _) in GIVEN.items()]


@pytest.mark.parametrize(
    ("name", "tensor", "read"),
    [
        ("user", ("BYTES", ["7", None]), [7, NULL_KEY]),
        ("user", ("UINT64", [2**64 - 1, 0]), [-1, 0]),
        ("user", ("INT8", [-1, 0]), [-1, 0]),
        ("user", ("BOOL", [True, False]), [1, 0]),
        ("shop", ("BYTES", ["Rome", None]), [ROME, NULL_KEY]),
        ("items__values", ("BYTES", ["Rome", None, "Rome"]), [ROME, NULL_KEY, ROME]),
        ("price", ("INT32", [3, 4]), [3.0, 4.0]),
        ("price", ("FP32", [0.5, 4]), [0.5, 4.0]),
        ("items__lengths", ("INT32", [1, 2]), [1, 2]),
    ],
)
def test_texts_become_keys_and_narrow_types_wide_ones(name: str, tensor: Any, read: list[Any]) -> None:
    also = {"shops__lengths": tensor} if name == "items__lengths" else {}
    batch = LAYOUT.decode(tensors(**{name: tensor}, **also))
    assert batch.inputs[name.replace("__", ".")].tolist() == read


@pytest.mark.parametrize("number", [math.inf, -math.inf, 1e39])
def test_a_number_that_no_model_computes_with_is_missing(number: float) -> None:
    assert math.isnan(LAYOUT.decode(tensors(price=("FP64", [number, 1]))).inputs["price"][0])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"price": None}, "price: is missing among the inputs"),
        ({"prize": ("FP64", [1, 2])}, "prize: is no input of the model; did you mean 'price'?"),
        ({"candidates.lengths": ("INT64", [2])}, "candidates.lengths: is no input of the model"),
        ({"user": ("INT64", [1])}, "user: shape must be [2] as that of other inputs, got [1]"),
        ({"user": ("FP64", [1, 2])}, "user: datatype must be INT64 or BYTES, got FP64"),
        ({"user": ("BYTES", ["7", "ann"])}, "user: expected an integer, got 'ann' (row 2)"),
        ({"time": ("BYTES", ["7", "8"])}, "time: datatype must be INT64, got BYTES"),
        ({"time": ("FP64", [7, 8])}, "time: datatype must be INT64, got FP64"),
        ({"price": ("BYTES", ["7", "8"])}, "price: datatype must be FP64, got BYTES"),
        ({"shops__values": ("BYTES", ["1", "x", "3"])}, "shops.values: expected an integer, got 'x' (row 1)"),
        ({"items__lengths": ("INT64", [4, -1])}, "items.lengths: must not be negative, got -1 (row 2)"),
        ({"items__lengths": ("INT64", [1, 1])}, "items.lengths: must sum to the number of values, 3"),
        ({"items__lengths": ("INT64", [2**62] * 4)}, "items.lengths: must sum to the number of values, 3"),
        ({"items__lengths": ("INT64", [3, 0, 0])}, "items.lengths: shape must be [2]"),
        ({"items__lengths": ("FP64", [3, 0])}, "items.lengths: datatype must be INT64, got FP64"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError) as error:
        LAYOUT.decode(tensors(**changes))
    assert str(error.value).startswith(f"column {problem}")
    assert error.value.column == problem.partition(":")[0]


def test_histories_that_are_not_aligned_are_refused() -> None:
    with pytest.raises(DataError, match="items, shops: sequences of one behaviour must be equally long"):
        LAYOUT.decode(tensors(shops__lengths=("INT64", [2, 1])))


def test_an_input_that_is_given_twice_is_refused() -> None:
    with pytest.raises(DataError, match="column user: is given twice"):
        LAYOUT.decode([*tensors(), *tensors()[:1]])


def test_more_rows_than_a_request_may_have_are_refused() -> None:
    many = {name: (datatype, [1] * 6) for name, (datatype, _) in GIVEN.items()}
    with pytest.raises(DataError, match="a request may have 5 rows, got 6; send several requests"):
        LAYOUT.decode(tensors(**{name.replace(".", "__"): one for name, one in many.items()}))


def test_no_rows_are_a_request_and_batches_are_laid_end_to_end() -> None:
    none = LAYOUT.decode(tensors(**{name.replace(".", "__"): (one[0], []) for name, one in GIVEN.items()}))
    some = LAYOUT.decode(tensors())
    joined = concatenate([some, none, some])
    assert joined.num_rows == 4
    assert joined.inputs["items.lengths"].tolist() == [3, 0, 3, 0]
    assert joined.inputs["items.values"].tolist() == [ROME, 2, 3] * 2
