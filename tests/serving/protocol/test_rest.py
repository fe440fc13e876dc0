"""Bodies of requests over REST, with and without raw bytes, and of answers."""

import json
from typing import Any

import numpy as np
import pytest

from recsys.errors import DataError
from recsys.serving.protocol.request import Answer, WantedOutput, wanted_outputs
from recsys.serving.protocol.rest import read_request, write_answer

USER = {"name": "user", "datatype": "INT64", "shape": [2], "data": [1, 2]}
RAW = {"name": "price", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": 16}}
PRICES = np.array([0.5, np.nan])
SCORES = {"score.click": np.array([0.25, 0.75]), "score.buy": np.array([0.1, np.nan])}
ANSWER = Answer("7", "shop", "v1", SCORES)


def body(**content: Any) -> bytes:
    return json.dumps({"inputs": [USER]} | content).encode()


def test_json_and_raw_inputs_may_stand_in_one_request() -> None:
    header = body(id="a", inputs=[RAW, USER])
    request = read_request(header + PRICES.tobytes(), len(header))
    assert request.id == "a"
    assert [tensor.name for tensor in request.tensors] == ["price", "user"]
    np.testing.assert_array_equal(request.tensors[0].values, PRICES)


def test_a_request_without_an_id_is_given_one() -> None:
    assert len({read_request(body()).id, read_request(body(id="")).id}) == 2


@pytest.mark.parametrize(
    ("content", "binary"),
    [
        ({}, {"score.click": False, "score.buy": False}),
        ({"parameters": {"binary_data_output": True}}, {"score.click": True, "score.buy": True}),
        ({"outputs": [{"name": "score.buy"}]}, {"score.buy": False}),
        ({"outputs": [{"name": "score.buy", "parameters": {"binary_data": True}}]}, {"score.buy": True}),
        (
            {
                "outputs": [{"name": "score.buy"}, {"name": "score.click", "parameters": {"binary_data": False}}],
                "parameters": {"binary_data_output": True},
            },
            {"score.buy": True, "score.click": False},
        ),
    ],
)
def test_outputs_come_in_the_order_and_form_that_is_asked_for(content: dict[str, Any], binary: dict[str, bool]) -> None:
    wanted = wanted_outputs(read_request(body(**content)), list(SCORES))
    assert wanted == [WantedOutput(name, is_binary) for name, is_binary in binary.items()]
    written, header_length = write_answer(ANSWER, wanted)
    header = json.loads(written[:header_length])
    assert (header["id"], header["model_name"], header["model_version"]) == ("7", "shop", "v1")
    raw = written[header_length:] if header_length else b""
    for output, (name, is_binary) in zip(header["outputs"], binary.items(), strict=True):
        assert (output["name"], output["datatype"], output["shape"]) == (name, "FP64", [2])
        if is_binary:
            size = output["parameters"]["binary_data_size"]
            np.testing.assert_array_equal(np.frombuffer(raw[:size]), SCORES[name])
            raw = raw[size:]
        else:
            assert output["data"] == [None if np.isnan(score) else score for score in SCORES[name]]
    assert raw == b""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "the body is no JSON: "),
        (b"[" * 10**5, "the body is no JSON: "),
        (b"[1]", "the body must be a JSON object, got [1]"),
        (b"\xff", "the body is no JSON: "),
        (b"{}", "inputs: must be a list of objects, got null"),
        (body(inputs=[1]), "inputs: must be a list of objects, got [1]"),
        (body(inputs=[{}]), "inputs: each must have a name, a text, got null"),
        (body(id=7), "id: must be a text, got 7"),
        (body(parameters=[1]), "parameters: must be an object, got [1]"),
        (body(outputs=[{"name": 1}]), "outputs: each must have a name, a text, got 1"),
        (body(inputs=[USER | {"datatype": 1}]), "column user: datatype must be a text, got 1"),
        (body(inputs=[USER | {"shape": [1.5]}]), "column user: shape must be a list of integers, got [1.5]"),
        (body(inputs=[USER | {"shape": 2}]), "column user: shape must be a list of integers, got 2"),
        (body(inputs=[USER | {"data": 2}]), "column user: data must be a list, got 2"),
        (body(inputs=[RAW]), "column price: binary_data_size must be 0 to 0, the bytes that are left, got 16"),
    ],
)
def test_a_body_that_is_no_request_is_refused_with_the_place(content: bytes, problem: str) -> None:
    with pytest.raises(DataError) as error:
        read_request(content)
    assert str(error.value).startswith(problem)


def test_bytes_that_belong_to_no_input_are_refused() -> None:
    with pytest.raises(DataError, match="3 bytes follow those of the last input"):
        read_request(body() + b"abc", len(body()))
    with pytest.raises(DataError, match="Inference-Header-Content-Length must be 0 to 2, got 3"):
        read_request(b"{}", 3)


def test_an_output_that_the_model_has_not_is_named() -> None:
    with pytest.raises(DataError, match=r"output score.bay: the model has none of that name; did you mean 'score.buy'"):
        wanted_outputs(read_request(body(outputs=[{"name": "score.bay"}])), list(SCORES))
