"""A server answers as the bundle scores in process, whichever way it is asked; the public clients are unchanged."""

import shutil
import socket
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from recsys.errors import DataError, RecsysError
from recsys.serving import Scorer
from recsys.serving.server.http_server import listen
from tests.export.rows import HISTORIES
from tests.serving.server.running import FORMS, ROWS, Running, call, inputs_of, running, triton_inputs

pytestmark = pytest.mark.slow

ODD: dict[str, pl.DataFrame] = {
    "golden rows": ROWS,
    "one row": ROWS[:1],
    "no rows": ROWS.clear(),
    "nulls": ROWS.with_columns(pl.lit(None).alias(name).cast(ROWS.schema[name]) for name in ROWS.columns),
    "unknown ids": ROWS.with_columns(user=pl.lit(10**18), item=pl.lit("Žižkov"), shop=pl.lit(-(2**62))),
    "empty histories": ROWS.with_columns(pl.col(HISTORIES).list.head(0)),
    "over-long histories": ROWS.with_columns(*(pl.concat_list([pl.col(name)] * 40).alias(name) for name in HISTORIES)),
    "times of all years": ROWS.with_columns(time=pl.int_range(pl.len()) * 10**9 - 3 * 10**10),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("title", ODD)
def test_scores_are_those_of_the_bundle(served: Running, form: str, title: str) -> None:
    expected = Scorer(served.folder).score(ODD[title])
    np.testing.assert_allclose(FORMS[form](served, ODD[title]).reshape(expected.shape), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("module", [triton_http, triton_grpc])
def test_ids_may_be_texts_which_the_server_turns_into_keys(served: Running, module: object) -> None:
    inputs = inputs_of(served.folder)
    inputs["item"] = np.array(ROWS["item"].to_list(), dtype=object)
    inputs["items.values"] = np.array(ROWS["items"].explode(empty_as_null=False).to_list(), dtype=object)
    inputs["users.values"] = np.array(
        ["-9223372036854775808" if user is None else str(user) for user in ROWS["users"].explode(empty_as_null=False)],
        dtype=object,
    )
    address = served.server.http_address if module is triton_http else served.server.grpc_address
    with module.InferenceServerClient(address) as client:  # type: ignore[attr-defined]
        result = client.infer("shop", triton_inputs(module, inputs))
    found = np.stack([result.as_numpy(f"score.{task}") for task in ("click", "buy")], axis=1)
    np.testing.assert_allclose(found, Scorer(served.folder).score(ROWS), rtol=0, atol=1e-6)


def test_the_http_client_gets_health_and_metadata(served: Running) -> None:
    with triton_http.InferenceServerClient(served.server.http_address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("shop")
        assert client.is_model_ready("shop", served.server.service.bundle.version)
        assert not client.is_model_ready("other")
        assert client.get_server_metadata()["name"] == "recsys"
        described = client.get_model_metadata("shop")
    assert described["versions"] == [served.server.service.bundle.version]
    assert {one["name"]: one["datatype"] for one in described["inputs"]}["price"] == "FP64"
    assert [one["name"] for one in described["outputs"]] == ["score.click", "score.buy"]


def test_the_grpc_client_gets_health_and_metadata(served: Running) -> None:
    with triton_grpc.InferenceServerClient(served.server.grpc_address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("shop")
        assert client.get_server_metadata().extensions == ["binary_tensor_data"]
        described = client.get_model_metadata("shop")
    assert list(described.versions) == [served.server.service.bundle.version]
    assert {one.name: one.datatype for one in described.inputs}["items.values"] == "INT64"
    assert [list(one.shape) for one in described.outputs] == [[-1], [-1]]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_requests_may_be_compressed(served: Running, algorithm: str) -> None:
    with triton_http.InferenceServerClient(served.server.http_address) as client:
        asked = triton_inputs(triton_http, inputs_of(served.folder))
        result = client.infer("shop", asked, request_compression_algorithm=algorithm, request_id="a-1")
    assert result.get_response()["id"] == "a-1"
    assert result.get_response()["model_version"] == served.server.service.bundle.version


def test_an_address_that_is_taken_is_refused() -> None:
    refused = pytest.raises(RecsysError, match=r"127\.0\.0\.1:\d+: cannot be listened on \(.*\); name another by")
    with socket.create_server(("127.0.0.1", 0)) as taken, refused:
        listen("127.0.0.1", taken.getsockname()[1])


def test_a_damaged_bundle_is_not_served(shop: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(shop, tmp_path / "shop")
    (copy / "README.md").write_text("edited")
    with pytest.raises(DataError, match=r"README\.md: is damaged or was edited"), running(copy):
        pass


def test_a_server_that_drains_is_not_ready_and_still_answers(shop: Path) -> None:
    with running(shop) as served:
        served.server.service.is_draining = True
        assert call(f"{served.url}/v2/health/ready").status == 503
        reply = call(f"{served.url}/v2/health/live")
        assert (reply.status, reply.headers["Connection"]) == (200, "close")
        assert FORMS["plain rows"](served, ROWS[:1]).shape == (1, 2)
