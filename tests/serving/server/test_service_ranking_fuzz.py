"""Odd users and candidates: what fits is ranked, the rest is refused, over REST, gRPC and in the shell alike."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

import recsys
from recsys.cli.commands.rank import rank_request
from recsys.errors import DataError
from recsys.serving.protocol.messages import message_class
from tests.export.rows import HISTORIES
from tests.serving.server.fuzzing import DATATYPES, INTEGERS, JSON, ask_grpc, changed, fuzz, fuzz_in_turn, post
from tests.serving.server.running import ROWS, Running

__all__ = ["ask_grpc", "post"]

pytestmark = pytest.mark.slow

INFER = "/v2/models/shop/infer"
OF_USER = HISTORIES
KEYS = st.integers(-3, 3) | st.sampled_from([-(2**63), 2**63 - 1])
NUMBERS = st.floats() | st.integers(-3, 3).map(float)


class Tensor(NamedTuple):
    """A tensor of a request, which need not be what it says."""

    name: str
    datatype: str
    shape: list[int]
    values: np.ndarray


class Request(NamedTuple):
    tensors: list[Tensor]
    fits: bool
    """Whether the server must answer it with scores."""


def tensor(name: str, values: list[Any], datatype: str = "INT64") -> Tensor:
    return Tensor(name, datatype, [len(values)], np.array(values, np.int64 if datatype == "INT64" else np.float64))


@st.composite
def ranking_requests(draw: st.DrawFn, inputs: list[Mapping[str, Any]]) -> Request:
    """Draw users with candidates each, none or several, and spoil about half of the requests in one or two places."""
    counts = draw(st.lists(st.integers(0, 4), max_size=3))
    drawn = [tensor("candidates.lengths", counts)]
    clicks = draw(st.lists(st.integers(0, 4), min_size=len(counts), max_size=len(counts)))  # of one length in a row
    for declared in inputs:
        name, rows = declared["name"], len(counts) if declared["user"] else sum(counts)
        if f"{name}.lengths" in declared["tensors"]:
            lengths = draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
            lengths = clicks if name in ("items", "shops", "marks") else lengths
            values = draw(st.lists(KEYS, min_size=sum(lengths), max_size=sum(lengths)))
            drawn += [tensor(f"{name}.values", values), tensor(f"{name}.lengths", lengths)]
        else:
            datatype = "FP64" if declared["dtype"] == "float64" else "INT64"
            entries = NUMBERS if datatype == "FP64" else KEYS
            drawn.append(tensor(name, draw(st.lists(entries, min_size=rows, max_size=rows)), datatype))
    num_spoiled = draw(st.sampled_from([0, 0, 1, 2]))
    for _ in range(num_spoiled):
        drawn = draw(spoiled(drawn))
    return Request(drawn, fits=num_spoiled == 0)


@st.composite
def spoiled(draw: st.DrawFn, tensors: list[Tensor]) -> list[Tensor]:
    """Drop, repeat, rename or change one tensor; the lengths of candidates more often than others."""
    place = draw(st.just(0) | st.integers(0, len(tensors) - 1)) if tensors else 0
    if not tensors:
        return tensors
    one, others = tensors[place], [*tensors[:place], *tensors[place + 1 :]]
    values = list(one.values.tolist())
    match draw(st.sampled_from(["value", "length", "type", "shape", "name", "drop", "repeat"])):
        case "value" if values and one.values.dtype == np.int64:
            values[draw(st.integers(0, len(values) - 1))] = draw(INTEGERS)
            return [*others, tensor(one.name, values)]
        case "length":
            longer = draw(st.integers(0, 3)) > 0
            return [*others, tensor(one.name, [*values, 1] if longer else values[:-1], one.datatype)]
        case "type":
            return [*others, one._replace(datatype=draw(DATATYPES))]
        case "shape":
            return [*others, one._replace(shape=draw(st.lists(INTEGERS, max_size=2)))]
        case "name":
            return [*others, one._replace(name=draw(st.sampled_from([each.name for each in tensors]) | st.text()))]
        case "repeat":
            return [*tensors, one]
        case _:
            return others


def as_json(request: Request) -> tuple[bytes, dict[str, str]]:
    inputs = []
    for one in request.tensors:
        data = [None if value != value else value for value in one.values.tolist()]
        inputs.append({"name": one.name, "datatype": one.datatype, "shape": one.shape, "data": data})
    return json.dumps({"inputs": inputs}).encode(), {}


def as_binary(request: Request) -> tuple[bytes, dict[str, str]]:
    raw = [one.values.tobytes() for one in request.tensors]
    inputs = [
        {
            "name": one.name,
            "datatype": one.datatype,
            "shape": one.shape,
            "parameters": {"binary_data_size": len(content)},
        }
        for one, content in zip(request.tensors, raw, strict=True)
    ]
    header = json.dumps({"inputs": inputs}).encode()
    return header + b"".join(raw), {"Inference-Header-Content-Length": str(len(header))}


def as_message(request: Request, *, is_raw: bool) -> bytes:
    message = message_class("ModelInferRequest")(model_name="shop")
    for one in request.tensors:
        added = message.inputs.add(name=one.name, datatype=one.datatype, shape=one.shape)
        if is_raw:
            message.raw_input_contents.append(one.values.tobytes())
        elif one.values.dtype == np.int64:
            added.contents.int64_contents.extend(one.values.tolist())
        else:
            added.contents.fp64_contents.extend(one.values.tolist())
    content: bytes = message.SerializeToString()
    return content


USER: dict[str, Any] = ROWS[:1].select(OF_USER).to_dicts()[0]
CANDIDATES: list[dict[str, Any]] = ROWS[:3].drop(OF_USER).to_dicts()


def values_of(row: Mapping[str, Any]) -> dict[str, st.SearchStrategy[Any]]:
    return {name: st.just(value) | JSON | st.lists(JSON, max_size=3) for name, value in row.items()}


@st.composite
def rank_bodies(draw: st.DrawFn) -> bytes:
    """Draw a body of `POST /rank` and `recsys rank`: half of the values are those of a row, the others anything."""
    user = draw(st.just(USER) | changed(USER, values_of(USER)) | JSON)
    candidates = draw(
        st.lists(st.sampled_from(CANDIDATES) | changed(CANDIDATES[0], values_of(CANDIDATES[0])), max_size=4) | JSON
    )
    body = {"user": user, "candidates": candidates, "id": draw(st.just("a") | JSON)}
    gone = draw(st.none() | st.none() | st.sampled_from(sorted(body)))
    return json.dumps({key: value for key, value in body.items() if key != gone}).encode()


def asking(form: str, post: Any, ask_grpc: Any) -> Callable[[Request], object]:
    """Return a function that sends a request in a form, and checks that what fits is answered."""

    def ask(request: Request) -> object:
        match form:
            case "JSON":
                status = post(INFER, as_json(request))
            case "binary":
                status = post(INFER, as_binary(request))
            case _:
                status = ask_grpc(as_message(request, is_raw=form == "raw messages"))
        assert status in (200, "OK") or not request.fits, (status, request)
        return status

    return ask


def asking_both(served: Running, post: Any) -> Callable[[bytes], object]:
    """Return a function that asks the server and the shell; both must take the same requests."""
    bundle = recsys.Bundle(served.folder)

    def ask(body: bytes) -> object:
        status = post("/rank", (body, {}))
        try:
            ranked = rank_request(bundle, body)
        except DataError:
            assert status == 400, body
        else:
            assert status == 200, body
            assert len(ranked) == len(json.loads(body)["candidates"])
        return status

    return ask


FORMS = ["JSON", "binary", "rank", "raw messages", "messages"]  # a connection that rests for 75 seconds is closed


def fuzz_form(form: str, served: Running, post: Any, ask_grpc: Any, *, cases: int) -> dict[object, int]:
    if form == "rank":
        return fuzz(rank_bodies(), asking_both(served, post), cases=cases)
    inputs = served.server.service.bundle.scorer.signature["inputs"]
    return fuzz(ranking_requests(inputs), asking(form, post, ask_grpc), cases=cases)


@pytest.mark.parametrize("form", FORMS)
def test_odd_rankings_are_ranked_or_refused(form: str, served: Running, post: Any, ask_grpc: Any) -> None:
    found = fuzz_form(form, served, post, ask_grpc, cases=60)
    assert len(found) > 1, found


@pytest.mark.proof
def test_ten_thousand_odd_rankings_are_no_fault_of_the_server(
    served: Running, post: Any, ask_grpc: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    fuzz_in_turn(FORMS, lambda form: fuzz_form(form, served, post, ask_grpc, cases=2000), capfd)
