"""Whatever is sent is answered with scores or an error of the client's, never one of the server's."""

import http.client
import json
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.serving.protocol.messages import SERVICE, message_class
from tests.serving.server.running import ROWS, Running, inputs_of, v2_body

pytestmark = pytest.mark.slow

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
INTEGERS = st.integers(-2, 4) | st.sampled_from([-(2**63), 2**62, 2**63 - 1])
DATATYPES = st.sampled_from(["INT64", "FP64", "BYTES", "BOOL", "INT8", "UINT64", "FP16", "FP32"]) | st.text(max_size=4)
TENSOR_CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["user", "price", "items.values", "candidates.lengths"]) | JSON,
    "datatype": DATATYPES | JSON,
    "shape": st.lists(INTEGERS, max_size=2) | JSON,
    "data": st.lists(JSON | INTEGERS, max_size=4) | JSON,
    "parameters": st.fixed_dictionaries({"binary_data_size": INTEGERS | JSON}) | JSON,
}
CONTENT_CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "id": JSON,
    "parameters": st.fixed_dictionaries({"binary_data_output": JSON}) | JSON,
    "outputs": st.lists(st.fixed_dictionaries({"name": st.just("score.buy") | JSON}), max_size=2) | JSON,
    "inputs": JSON,
}
ROW: dict[str, Any] = ROWS[:1].to_dicts()[0]


@st.composite
def changed(draw: st.DrawFn, content: dict[str, Any], changes: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """Change or drop some of the values."""
    keys = draw(st.lists(st.sampled_from(sorted(changes)), max_size=2))
    new = content | {key: draw(changes[key]) for key in keys}
    gone = draw(st.none() | st.sampled_from(sorted(new)))
    return {key: value for key, value in new.items() if key != gone} if draw(st.integers(0, 9)) == 0 else new


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


@pytest.fixture(scope="module")
def post(served: Running) -> Iterator[Callable[[str, tuple[bytes, dict[str, str]]], int]]:
    """Ask over one connection that is opened anew where the server closes it."""
    connection = http.client.HTTPConnection(served.server.http_address, timeout=20)

    def ask(path: str, request: tuple[bytes, dict[str, str]]) -> int:
        connection.request("POST", path, *request)
        reply = connection.getresponse()
        content = reply.read()
        assert reply.status < 500, (request, content)
        assert b"Traceback" not in content
        if reply.status >= 400:
            assert json.loads(content)["error"]
        return reply.status

    yield ask
    connection.close()


@pytest.fixture(scope="module")
def ask_grpc(served: Running) -> Iterator[Callable[[bytes], str]]:
    with grpc.insecure_channel(served.server.grpc_address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")

        def ask(message: bytes) -> str:
            answer = call.future(message, timeout=20)
            code: str = answer.code().name
            assert code in ("OK", "INVALID_ARGUMENT", "NOT_FOUND"), (message, answer.details())
            return code

        yield ask


def fuzz(strategy: st.SearchStrategy[Any], ask: Callable[[Any], object], *, cases: int) -> dict[object, int]:
    """Ask what a strategy draws, and return how often each status came."""
    found: dict[object, int] = {}
    checks = list(HealthCheck)

    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=checks)
    @given(strategy)
    def run(request: Any) -> None:
        status = ask(request)
        found[status] = found.get(status, 0) + 1

    run()
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
    for form in FORMS:
        start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = fuzz_form(form, valid, post, ask_grpc, cases=2500)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        with capfd.disabled():
            print(f"{form}: {found} in {time.monotonic() - start:.0f} s, peak memory grew by {grown:.1f} MiB")
    assert "Traceback" not in capfd.readouterr().err
