"""A server in a thread of the test's own process, and the same requests in every form in which it takes them."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from recsys.serving import Scorer
from recsys.serving.server.options import Limits, ServeOptions
from recsys.serving.server.run import Server
from tests.export.models import Made, make
from tests.export.rows import clicks, yaml
from tests.serving.bundles import export

ROWS = clicks(70, seed=2)
QUICK = {"drain_seconds": 0.0, "answer_seconds": 10.0, "body_seconds": 5.0}


class Running(NamedTuple):
    """A server that runs."""

    server: Server
    folder: Path

    @property
    def url(self) -> str:
        return f"http://{self.server.http_address}"


@contextmanager
def running(folder: Path, *, watch_seconds: float = 3600.0, **limits: Any) -> Iterator[Running]:
    """Serve a bundle on free ports until the end of the block."""
    options = ServeOptions(
        port=0, grpc_port=0, name="shop", watch_seconds=watch_seconds, limits=Limits(**(QUICK | limits))
    )
    server = Server(folder, options)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(20)
        yield Running(server, folder)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(yaml("din", label="{click: clicked, buy: bought}"), clicks(100), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="package")
def shop(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with two tasks and every type of feature."""
    return export(made, tmp_path_factory.mktemp("served") / "shop", ROWS)


@pytest.fixture(scope="package")
def other_shop(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the same columns with other weights."""
    other = replace(made, weights={name: 1.5 * weight for name, weight in made.weights.items()})
    return export(other, tmp_path_factory.mktemp("other") / "shop", ROWS)


@pytest.fixture(scope="package")
def served(shop: Path) -> Iterator[Running]:
    with running(shop) as found:
        yield found


class Reply(NamedTuple):
    status: int
    content: Any
    headers: Mapping[str, str]


def call(url: str, body: bytes | None = None, **headers: str) -> Reply:
    """Ask over HTTP, and return what comes back, errors included."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, named), timeout=20) as reply:
            return Reply(reply.status, json.loads(reply.read() or b"null"), reply.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, json.loads(error.read()), error.headers)


def inputs_of(folder: Path, frame: pl.DataFrame = ROWS) -> dict[str, np.ndarray]:
    return Scorer(folder).inputs(frame)


def v2_body(inputs: Mapping[str, np.ndarray], **content: Any) -> bytes:
    """Return the JSON of a request, with null for NaN."""
    tensors = [
        {
            "name": name,
            "datatype": "FP64" if array.dtype == np.float64 else "INT64",
            "shape": [len(array)],
            "data": [None if value != value else value for value in array.tolist()],
        }
        for name, array in inputs.items()
    ]
    return json.dumps({"inputs": tensors, **content}).encode()


def by_json(served: Running, frame: pl.DataFrame) -> np.ndarray:
    reply = call(f"{served.url}/v2/models/shop/infer", v2_body(inputs_of(served.folder, frame)))
    assert reply.status == 200, reply.content
    return np.array([output["data"] for output in reply.content["outputs"]]).T


def by_rows(served: Running, frame: pl.DataFrame) -> np.ndarray:
    reply = call(f"{served.url}/score", json.dumps({"rows": frame.to_dicts()}).encode())
    assert reply.status == 200, reply.content
    return np.array(list(reply.content["scores"].values())).T


def triton_inputs(module: Any, inputs: Mapping[str, np.ndarray], **options: Any) -> list[Any]:
    found = []
    for name, array in inputs.items():
        kind = {"f": "FP64", "i": "INT64", "O": "BYTES"}[array.dtype.kind]
        found.append(module.InferInput(name, list(array.shape), kind))
        found[-1].set_data_from_numpy(array, **options)
    return found


def scores_in(result: Any) -> np.ndarray:
    return np.stack([result.as_numpy(f"score.{task}") for task in ("click", "buy")], axis=1)


def by_client_json(served: Running, frame: pl.DataFrame) -> np.ndarray:
    inputs = {
        name: np.nan_to_num(array, nan=-1e308) for name, array in inputs_of(served.folder, frame).items()
    }  # this client's JSON knows no NaN; what no float32 holds is missing, too
    with triton_http.InferenceServerClient(served.server.http_address) as client:
        outputs = [triton_http.InferRequestedOutput(f"score.{task}", binary_data=False) for task in ("click", "buy")]
        asked = triton_inputs(triton_http, inputs, binary_data=False)
        return scores_in(client.infer("shop", asked, outputs=outputs))


def by_client_binary(served: Running, frame: pl.DataFrame) -> np.ndarray:
    with triton_http.InferenceServerClient(served.server.http_address) as client:
        return scores_in(client.infer("shop", triton_inputs(triton_http, inputs_of(served.folder, frame))))


def by_client_grpc(served: Running, frame: pl.DataFrame) -> np.ndarray:
    with triton_grpc.InferenceServerClient(served.server.grpc_address) as client:
        return scores_in(client.infer("shop", triton_inputs(triton_grpc, inputs_of(served.folder, frame))))


FORMS: dict[str, Callable[[Running, pl.DataFrame], np.ndarray]] = {
    "REST JSON": by_json,
    "plain rows": by_rows,
    "tritonclient REST JSON": by_client_json,
    "tritonclient REST binary": by_client_binary,
    "tritonclient gRPC": by_client_grpc,
}
"""Every way to ask for the scores of raw rows."""
