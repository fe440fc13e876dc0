"""Requests that are drawn at random, and what a server must do with every one of them."""

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

from recsys.serving.protocol.messages import SERVICE
from tests.serving.server.running import Running

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


@st.composite
def changed(draw: st.DrawFn, content: dict[str, Any], changes: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """Change or drop some of the values."""
    keys = draw(st.lists(st.sampled_from(sorted(changes)), max_size=2))
    new = content | {key: draw(changes[key]) for key in keys}
    gone = draw(st.none() | st.sampled_from(sorted(new)))
    return {key: value for key, value in new.items() if key != gone} if draw(st.integers(0, 9)) == 0 else new


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


def fuzz_in_turn(
    forms: list[str], fuzz_form: Callable[[str], dict[object, int]], capfd: pytest.CaptureFixture[str]
) -> None:
    """Fuzz each form, print what came, how long it took and what memory it took; no traceback may be printed."""
    for form in forms:
        start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = fuzz_form(form)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        with capfd.disabled():
            print(f"{form}: {found} in {time.monotonic() - start:.0f} s, peak memory grew by {grown:.1f} MiB")
    assert "Traceback" not in capfd.readouterr().err
