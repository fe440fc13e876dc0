"""A tensor is the same however it comes; what is wrong with one is said with its name, and its row."""

import math
import struct
from typing import Any

import numpy as np
import pytest

from recsys.errors import DataError
from recsys.features.fingerprint import NULL_KEY
from recsys.serving.protocol.tensors import NUMPY_TYPES, from_contents, from_json, from_raw


@pytest.mark.parametrize("datatype", NUMPY_TYPES)
def test_values_of_each_datatype_are_the_same_from_json_raw_bytes_and_messages(datatype: str) -> None:
    values = np.array([0, 1, 100], NUMPY_TYPES[datatype])
    forms = [
        from_json("x", datatype, [3], values.tolist()),
        from_raw("x", datatype, [3], values.tobytes()),
        from_contents("x", datatype, [3], values.tolist()),
    ]
    for form in forms:
        np.testing.assert_array_equal(form.values, values, strict=True)


def raw_texts(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def test_texts_are_the_same_from_json_raw_bytes_and_messages() -> None:
    texts = ["", "Žižkov", "a" * 300]
    encoded = [text.encode() for text in texts]
    assert from_json("x", "BYTES", [3], [*texts]).values == texts
    assert from_raw("x", "BYTES", [3], raw_texts(*encoded)).values == texts
    assert from_contents("x", "BYTES", [3], encoded).values == texts


def test_json_spells_what_tensors_cannot_hold() -> None:
    assert from_json("x", "INT64", [3], [None, "-9223372036854775807", 2**62]).values.tolist() == [
        NULL_KEY,
        1 - 2**63,
        2**62,
    ]
    assert from_json("x", "BYTES", [2], [None, ""]).values == [None, ""]
    number, gap = from_json("x", "FP64", [2], [10**300, None]).values
    assert (number, math.isnan(gap)) == (1e300, True)
    assert np.isinf(from_json("x", "FP32", [1], [1e300]).values[0])


@pytest.mark.parametrize(
    ("datatype", "data", "problem"),
    [
        ("INT64", [1, "x"], "expected an integer, got 'x' (row 2)"),
        ("INT64", [1, 2.5], "expected an integer, got 2.5 (row 2)"),
        ("INT64", [1, True], "expected an integer, got True (row 2)"),
        ("INT64", [1, [2]], "expected an integer, got [2] (row 2)"),
        ("INT64", [1, 2**63], f"expected {-(2**63)} to {2**63 - 1}, got {2**63} (row 2)"),
        ("INT64", [1, "99999999999999999999"], "expected -9223372036854775808 to"),
        ("UINT64", [1, None], "expected an integer, got None (row 2)"),
        ("INT8", [1, 128], "expected -128 to 127, got 128 (row 2)"),
        ("INT8", [1, "2"], "expected an integer, got '2' (row 2)"),
        ("FP64", ["1", 2], "expected a number or null, got '1' (row 1)"),
        ("FP64", [1, 10**400], "expected a number of 64 bits, got a longer one (row 2)"),
        ("BOOL", [True, 1], "expected true or false, got 1 (row 2)"),
        ("BYTES", ["a", 1], "expected text or null, got 1 (row 2)"),
        ("BYTES", ["a", "\ud800"], "expected Unicode text, got '\\ud800' (row 2)"),
        ("INT64", [1], "shape [2] promises 2 values, data has 1"),
        ("TEXT", [1, 2], "datatype must be one of BYTES, BOOL, INT8"),
    ],
)
def test_json_that_does_not_fit_is_named(datatype: str, data: list[Any], problem: str) -> None:
    with pytest.raises(DataError) as error:
        from_json("x", datatype, [2], data)
    assert str(error.value).startswith(f"column x: {problem}")
    assert error.value.column == "x"


@pytest.mark.parametrize("shape", [[], [2, 1], [-1]])
def test_a_shape_must_be_one_number(shape: list[int]) -> None:
    with pytest.raises(DataError, match="column x: shape must be one number of values, such as"):
        from_json("x", "INT64", shape, [1, 2])


@pytest.mark.parametrize(
    ("datatype", "content", "problem"),
    [
        ("INT64", bytes(15), r"shape \[2\] of INT64 takes 16 bytes, got 15"),
        ("BYTES", raw_texts(b"a", b"b")[:-1], "9 bytes are not 2 texts, each after its length in 4 bytes"),
        ("BYTES", raw_texts(b"a", b"b", b"c"), "15 bytes are not 2 texts"),
        ("BYTES", b"\xff\xff\xff\xff", "4 bytes are not 2 texts"),
        ("BYTES", raw_texts(b"a", b"\xff"), r"expected UTF-8 text, got b'\\xff' \(row 2\)"),
    ],
)
def test_bytes_that_do_not_fit_are_named(datatype: str, content: bytes, problem: str) -> None:
    with pytest.raises(DataError, match=f"column x: {problem}"):
        from_raw("x", datatype, [2], content)


def test_a_shape_that_promises_too_much_costs_no_memory() -> None:
    for datatype in ("INT64", "BYTES"):
        with pytest.raises(DataError, match="column x: "):
            from_raw("x", datatype, [2**62], b"")
