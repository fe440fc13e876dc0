"""What HTTP says to requests that do not fit: a status of 4xx, and an error that names the place."""

import json
from typing import Any

import numpy as np
import pytest

from tests.serving.server.running import ROWS, Running, call, inputs_of, running, v2_body

pytestmark = pytest.mark.slow

INFER = "/v2/models/shop/infer"
ROW = ROWS[:1].to_dicts()[0]


def rows(**changes: Any) -> bytes:
    return json.dumps({"rows": [ROW, ROW | changes]}).encode()


@pytest.mark.parametrize(
    ("changes", "column", "problem"),
    [
        ({"user": "ann"}, "user", "column user: expected an integer, got 'ann' (row 2)"),
        ({"user": 1.5}, "user", "column user: expected an id"),
        ({"user": {}}, "user", "column user: expected an integer as in other rows, got {} (row 2)"),
        ({"price": "cheap"}, "price", "column price: expected a number as in other rows, got 'cheap' (row 2)"),
        ({"time": True}, "time", "column time: expected an integer as in other rows"),
        ({"items": "item1"}, "items", "column items: expected a list as in other rows, got 'item1' (row 2)"),
        ({"items": [["item1"]]}, "items", "column items: expected a text as in other rows, got ['item1'] (row 2)"),
    ],
)
def test_a_row_that_does_not_fit_is_named(served: Running, changes: dict[str, Any], column: str, problem: str) -> None:
    reply = call(f"{served.url}/score", rows(**changes))
    assert reply.status == 400
    assert reply.content["error"].startswith(problem)
    assert reply.content["column"] == column


def test_a_tensor_that_does_not_fit_is_named(served: Running) -> None:
    inputs = inputs_of(served.folder)
    missing = call(f"{served.url}{INFER}", v2_body({name: one for name, one in inputs.items() if name != "price"}))
    assert (missing.status, missing.content["column"]) == (400, "price")
    odd = call(f"{served.url}{INFER}", v2_body(inputs | {"price": np.zeros(3)}))
    assert odd.content["error"] == "column price: shape must be [70] as that of other inputs, got [3]"
    unaligned = inputs | {"shops.lengths": inputs["shops.lengths"][::-1]}
    assert "must be equally long" in call(f"{served.url}{INFER}", v2_body(unaligned)).content["error"]


@pytest.mark.parametrize(
    ("path", "body", "status", "problem"),
    [
        ("/v2/models/shop/infer", b"{", 400, "the body is no JSON"),
        ("/score", b"[]", 400, "the body must be a JSON object"),
        ("/v2/models/other/infer", b"{}", 404, "there is no model 'other'; this server has 'shop'"),
        ("/v2/models/shop/versions/7/infer", b"{}", 404, "there is no version '7' of 'shop'"),
        ("/v2/models/shop/versions/7/ready", None, 404, "there is no version '7' of 'shop'"),
        ("/v2/repository/models/shop/load", b"{}", 404, "there is no POST /v2/repository/models/shop/load"),
        ("/v2/repository/models/shop/unload", b"{}", 404, "there is no POST"),
        ("/v2/models/shop/infer", None, 405, "there is no GET /v2/models/shop/infer"),
    ],
)
def test_a_request_for_what_there_is_not_is_refused(
    served: Running, path: str, body: bytes | None, status: int, problem: str
) -> None:
    reply = call(f"{served.url}{path}", body)
    assert (reply.status, reply.content["error"][: len(problem)]) == (status, problem)


def test_headers_that_do_not_fit_are_refused(served: Running) -> None:
    body = v2_body(inputs_of(served.folder))
    lengths = call(f"{served.url}{INFER}", body, Inference_Header_Content_Length="x")
    assert lengths.content["error"] == "Inference-Header-Content-Length must be a number of bytes, got 'x'"
    assert (
        call(f"{served.url}{INFER}", body, Content_Encoding="br").content["error"].startswith("Content-Encoding must")
    )
    assert call(f"{served.url}{INFER}", body, Content_Encoding="gzip").content["error"] == "the body is no gzip data"


def test_a_request_has_the_id_that_it_brings(served: Running) -> None:
    body = v2_body(inputs_of(served.folder), id="7", outputs=[{"name": "score.buy"}])
    reply = call(f"{served.url}/v2/models/shop/versions/{served.server.service.bundle.version}/infer", body)
    assert reply.content["id"] == "7"
    assert [output["name"] for output in reply.content["outputs"]] == ["score.buy"]
    assert reply.content["model_version"] == served.server.service.bundle.version


def test_more_rows_or_bytes_than_allowed_are_refused_and_others_are_answered(served: Running) -> None:
    with running(served.folder, max_rows=3, max_body_bytes=10_000) as small:
        many = call(f"{small.url}/score", json.dumps({"rows": [ROW] * 4}).encode())
        assert many.content["error"] == "a request may have 3 rows, got 4; send several requests"
        large = call(f"{small.url}/score", b" " * 10_001)
        assert large.status == 413
        assert call(f"{small.url}/score", json.dumps({"rows": [ROW] * 3}).encode()).status == 200


def test_a_fault_of_the_server_is_logged_and_not_shown(
    served: Running, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(served.server.service.bundle, "rows", fail)
    reply = call(f"{served.url}/score", rows())
    assert reply.status == 500
    incident = reply.content["error"].split()[-1]
    assert "secret" not in json.dumps(reply.content)
    logged = capfd.readouterr().err
    assert f"error {incident}: POST /score" in logged
    assert "ZeroDivisionError: a secret" in logged


def test_pages_explain_the_server(served: Running) -> None:
    described = call(f"{served.url}/openapi.json").content
    row = described["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]
    assert row["schema"]["properties"]["rows"]["items"]["required"] == list(ROW)[2:]
    assert call(f"{served.url}/score", json.dumps(row["example"]).encode()).status == 200
    infer = described["paths"][INFER]["post"]["requestBody"]["content"]["application/json"]
    assert call(f"{served.url}{INFER}", json.dumps(infer["example"]).encode()).status == 200
    assert call(f"{served.url}/signature.json").content["hash"] == "xxhash64/1"


def test_figures_count_requests_rows_and_calls(served: Running) -> None:
    import urllib.request

    with running(served.folder) as fresh:
        call(f"{fresh.url}/score", rows())
        call(f"{fresh.url}/score", rows(user="ann"))
        with urllib.request.urlopen(f"{fresh.url}/metrics", timeout=20) as reply:
            lines = reply.read().decode().splitlines()
            assert reply.headers["Content-Type"].startswith("text/plain")
    version = fresh.server.service.bundle.version
    assert 'recsys_requests_total{status="200",transport="rows"} 1.0' in lines
    assert 'recsys_requests_total{status="400",transport="rows"} 1.0' in lines
    assert "recsys_request_rows_sum 2.0" in lines
    assert "recsys_model_calls_total 1.0" in lines
    assert f'recsys_bundle{{name="shop",version="{version}"}} 1.0' in lines
