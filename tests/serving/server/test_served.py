"""Users with several candidates are scored as plain rows are, whichever way they are sent, alone and merged."""

import asyncio
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from recsys.errors import DataError
from recsys.serving import Scorer
from recsys.serving.server.batching import Batcher
from recsys.serving.server.served import ServedBundle
from tests.export.rows import HISTORIES
from tests.serving.server.running import ROWS, Running, call, scores_in, triton_inputs, v2_body

pytestmark = pytest.mark.slow

OF_USER = HISTORIES
USERS, CANDIDATES = ROWS[:5], ROWS[20:60]
COUNTS = [12, 0, 3, 20, 5]


def ranking_of(folder: Path, users: pl.DataFrame = USERS, counts: list[int] = COUNTS) -> dict[str, np.ndarray]:
    return Scorer(folder).ranking_inputs(users, CANDIDATES[: sum(counts)], counts)


def plain_scores(folder: Path, users: pl.DataFrame = USERS, counts: list[int] = COUNTS) -> np.ndarray:
    repeated = users[np.repeat(np.arange(len(counts)), counts)].select(OF_USER)
    return Scorer(folder).score(CANDIDATES[: sum(counts)].with_columns(repeated.get_columns()))


def by_json(served: Running, inputs: dict[str, np.ndarray]) -> np.ndarray:
    reply = call(f"{served.url}/v2/models/shop/infer", v2_body(inputs))
    assert reply.status == 200, reply.content
    return np.array([output["data"] for output in reply.content["outputs"]]).T


def by_binary(served: Running, inputs: dict[str, np.ndarray]) -> np.ndarray:
    with triton_http.InferenceServerClient(served.server.http_address) as client:
        return scores_in(client.infer("shop", triton_inputs(triton_http, inputs)))


def by_grpc(served: Running, inputs: dict[str, np.ndarray]) -> np.ndarray:
    with triton_grpc.InferenceServerClient(served.server.grpc_address) as client:
        return scores_in(client.infer("shop", triton_inputs(triton_grpc, inputs)))


@pytest.mark.parametrize("ask", [by_json, by_binary, by_grpc])
def test_tensors_of_users_and_candidates_have_the_scores_of_plain_rows(
    served: Running, ask: Callable[[Running, dict[str, np.ndarray]], np.ndarray]
) -> None:
    np.testing.assert_allclose(ask(served, ranking_of(served.folder)), plain_scores(served.folder), rtol=0, atol=1e-6)


def rank_body(**changes: Any) -> bytes:
    candidates = CANDIDATES[:12].drop(OF_USER).to_dicts()
    return json.dumps({"user": USERS[:1].select(OF_USER).to_dicts()[0], "candidates": candidates} | changes).encode()


def test_plain_json_of_one_user_has_the_scores_of_plain_rows(served: Running) -> None:
    reply = call(f"{served.url}/rank", rank_body(id="7"))
    assert (reply.status, reply.content["id"]) == (200, "7")
    assert reply.content["model_version"] == served.server.service.bundle.version
    scores = np.array(list(reply.content["scores"].values())).T
    np.testing.assert_allclose(scores, plain_scores(served.folder, USERS[:1], [12]), rtol=0, atol=1e-6)


def test_ten_thousand_candidates_over_the_limit_are_refused_and_others_are_answered(served: Running) -> None:
    number = served.server.options.limits.max_rows + 10_000
    problem = f"a request may have 4096 candidates, got {number}; send several requests"
    inputs = Scorer(served.folder).ranking_inputs(USERS[:1], ROWS[np.resize(np.arange(70), number)], [number])
    many = rank_body(candidates=CANDIDATES[np.resize(np.arange(40), number)].drop(OF_USER).to_dicts())
    with ThreadPoolExecutor(4) as others:
        answers = [others.submit(call, f"{served.url}/rank", rank_body()) for _ in range(40)]
        for refused in (call(f"{served.url}/rank", many), call(f"{served.url}/v2/models/shop/infer", v2_body(inputs))):
            assert (refused.status, refused.content["error"]) == (400, problem)
        with pytest.raises(InferenceServerException, match=problem) as error:
            by_grpc(served, inputs)
        assert error.value.status() == "StatusCode.INVALID_ARGUMENT"
        assert {answer.result().status for answer in answers} == {200}


def test_a_value_that_does_not_fit_is_named(served: Running) -> None:
    user = call(f"{served.url}/rank", rank_body(user={**{name: [] for name in OF_USER}, "users": ["ann"]}))
    assert (user.status, user.content["column"]) == (400, "users")
    assert user.content["error"].startswith("user: column users: expected an integer, got 'ann'")
    candidate = call(f"{served.url}/rank", rank_body(candidates=[{}]))
    assert (candidate.status, candidate.content["column"], candidate.content["row"]) == (400, "user", 1)
    inputs = ranking_of(served.folder)
    short = call(f"{served.url}/v2/models/shop/infer", v2_body(inputs | {"price": np.zeros(3)}))
    assert short.content["error"] == "column price: shape must be [40], the sum of candidates.lengths, got [3]"


def test_requests_of_several_callers_are_merged_and_each_gets_its_own_scores(served: Running) -> None:
    bundle = served.server.service.bundle
    asked = [(USERS[user : user + 1], [count]) for user, count in ((0, 7), (1, 1), (2, 30), (3, 0), (4, 2), (0, 12))]
    batches = [bundle.layout.batch(ranking_of(served.folder, *one), sum(one[1])) for one in asked]

    async def ask() -> list[np.ndarray]:
        queue = Batcher(max_cost=10**6, max_waiting=99)
        found = await asyncio.gather(*(queue.score(bundle, one) for one in batches))
        queue.close()
        return found

    for scores, one in zip(asyncio.run(ask()), asked, strict=True):
        np.testing.assert_allclose(scores, plain_scores(served.folder, *one), rtol=0, atol=1e-6)


def test_pages_explain_how_to_rank(served: Running) -> None:
    described = call(f"{served.url}/openapi.json").content["paths"]["/rank"]["post"]
    body = described["requestBody"]["content"]["application/json"]
    assert body["schema"]["properties"]["user"]["required"] == OF_USER
    reply = call(f"{served.url}/rank", json.dumps(body["example"]).encode())
    example = call(f"{served.url}/signature.json").content["example"]["ranking"]
    expected = [output["data"] for output in example["answer"]["outputs"]]
    np.testing.assert_allclose(list(reply.content["scores"].values()), expected, rtol=0, atol=1e-6)
    tensors = call(f"{served.url}/v2/models/shop/infer", json.dumps(example["request"]).encode())
    np.testing.assert_allclose([one["data"] for one in tensors.content["outputs"]], expected, rtol=0, atol=1e-6)


def test_a_bundle_that_ranks_otherwise_than_it_scores_is_not_served(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shop, tmp_path / "shop")
    right = Scorer.score_inputs

    def wrong(self: Scorer, inputs: Any, num_rows: int) -> np.ndarray:
        return right(self, inputs, num_rows) + 1e-5 * ("candidates.lengths" in inputs)

    monkeypatch.setattr(Scorer, "score_inputs", wrong)
    with pytest.raises(DataError, match=r"score\.\w+ of a candidate of a golden row must be 0\.\d+ as in plain rows"):
        ServedBundle(tmp_path / "shop", max_rows=10)
