"""Whatever is sent is answered with scores or an error of the client's, never one of the server's."""

import json
from typing import Any

import pytest
from hypothesis import strategies as st

from recsys.serving.protocol.messages import message_class
from tests.serving.server.fuzzing import (
    DATATYPES,
    INTEGERS,
    JSON,
    TENSOR_CHANGES,
    ask_grpc,
    changed,
    fuzz,
    fuzz_in_turn,
    post,
)
from tests.serving.server.running import ROWS, Running, inputs_of, v2_body

__all__ = ["ask_grpc", "post"]

pytestmark = pytest.mark.slow

CONTENT_CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "id": JSON,
    "parameters": st.fixed_dictionaries({"binary_data_output": JSON}) | JSON,
    "outputs": st.lists(st.fixed_dictionaries({"name": st.just("score.buy") | JSON}), max_size=2) | JSON,
    "inputs": JSON,
}
ROW: dict[str, Any] = ROWS[:1].to_dicts()[0]


@st.composite
def v2_requests(draw: st.DrawFn, valid: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    inputs = list(valid["inputs"])
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(inputs) - 1))
        inputs[place] = draw(changed(inputs[place], TENSOR_CHANGES))
    content = {"inputs": inputs}
    if draw(st.integers(0, 3)) == 0:
        content = draw(changed(content, CONTENT_CHANGES))
    body = json.dumps(content).encode()
    headers = {}
    if draw(st.integers(0, 3)) == 0:
        headers["Inference-Header-Content-Length"] = str(draw(st.just(len(body)) | st.integers(-1, 10**20)))
        body += draw(st.binary(max_size=40))
    return body, headers


@st.composite
def row_requests(draw: st.DrawFn) -> tuple[bytes, dict[str, str]]:
    values = {name: st.just(value) | JSON | st.lists(JSON, max_size=3) for name, value in ROW.items()}
    rows = [draw(changed(ROW, values)) for _ in range(draw(st.integers(0, 3)))]
    return json.dumps({"rows": draw(st.just(rows) | JSON), "id": draw(st.just("a") | JSON)}).encode(), {}


@st.composite
def messages(draw: st.DrawFn, valid: dict[str, Any]) -> bytes:
    message = message_class("ModelInferRequest")(model_name="shop")
    raw = draw(st.booleans())
    for tensor in valid["inputs"]:
        name, datatype = (
            draw(st.just(tensor["name"]) | st.text(max_size=3)),
            draw(st.just(tensor["datatype"]) | DATATYPES),
        )
        shape = draw(st.just(tensor["shape"]) | st.lists(INTEGERS, max_size=2))
        added = message.inputs.add(name=name, datatype=datatype, shape=shape)
        if raw:
            message.raw_input_contents.append(draw(st.binary(max_size=32)))
        else:
            added.contents.int64_contents.extend(draw(st.lists(INTEGERS, max_size=3)))
            added.contents.fp64_contents.extend(draw(st.lists(st.floats(), max_size=3)))
            added.contents.bytes_contents.extend(draw(st.lists(st.binary(max_size=4), max_size=2)))
    content: bytes = message.SerializeToString()
    return content[: draw(st.just(len(content)) | st.integers(0, len(content)))] + draw(
        st.just(b"") | st.binary(max_size=4)
    )


@pytest.fixture(scope="module")
def valid(served: Running) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(v2_body(inputs_of(served.folder, ROWS[:2])))
    return found


FORMS = ["tensors", "rows", "bytes", "messages"]


def fuzz_form(form: str, valid: dict[str, Any], post: Any, ask_grpc: Any, *, cases: int) -> dict[object, int]:
    match form:
        case "tensors":
            return fuzz(v2_requests(valid), lambda request: post("/v2/models/shop/infer", request), cases=cases)
        case "rows":
            return fuzz(row_requests(), lambda request: post("/score", request), cases=cases)
        case "bytes":
            drawn = st.tuples(
                st.binary(max_size=60), st.fixed_dictionaries({"Content-Encoding": st.just("gzip")}) | st.just({})
            )
            return fuzz(drawn, lambda request: post("/v2/models/shop/infer", request), cases=cases)
        case _:
            return fuzz(messages(valid), ask_grpc, cases=cases)


@pytest.mark.parametrize("form", FORMS)
def test_odd_requests_are_no_fault_of_the_server(form: str, valid: Any, post: Any, ask_grpc: Any) -> None:
    fuzz_form(form, valid, post, ask_grpc, cases=100)


@pytest.mark.proof
def test_ten_thousand_odd_requests_are_no_fault_of_the_server(
    valid: Any, post: Any, ask_grpc: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    fuzz_in_turn(FORMS, lambda form: fuzz_form(form, valid, post, ask_grpc, cases=2500), capfd)
