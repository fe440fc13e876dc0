"""Requests are merged, and each gets its own scores back, whatever happens to the others."""

import asyncio
import random
import threading
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from recsys.errors import DataError
from recsys.serving.protocol.layout import Batch
from recsys.serving.server.batching import Batcher
from recsys.serving.server.refusals import Overloaded


class Sums:
    """A bundle whose score of a row is that row's number; a negative one spoils its call."""

    def __init__(self, version: int = 0) -> None:
        self.version = version
        self.calls: list[list[float]] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def score(self, batch: Batch) -> np.ndarray:
        assert self.may_go.wait(10)
        numbers = batch.inputs["x"]
        self.calls.append(numbers.tolist())
        if (numbers < 0).any():
            raise DataError(f"{numbers.min()} is negative")
        return np.stack([numbers, numbers + self.version], axis=1)


def batch(*numbers: float) -> Batch:
    return Batch({"x": np.array(numbers, np.float64)}, len(numbers))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def batcher(*, max_cost: int = 100, max_waiting: int = 1000) -> Batcher:
    return Batcher(max_cost=max_cost, max_waiting=max_waiting)


def test_requests_that_wait_together_are_scored_in_one_call() -> None:
    async def test() -> None:
        queue, bundle = batcher(), Sums()
        scores = await asyncio.gather(*(queue.score(bundle, batch(float(n), n + 0.5)) for n in range(20)))
        assert bundle.calls == [[0.0, 0.5], [n + half for n in range(1, 20) for half in (0.0, 0.5)]]
        assert [one[:, 0].tolist() for one in scores] == [[n, n + 0.5] for n in range(20)]

    run(test())


def test_calls_are_no_larger_than_allowed_but_for_one_request_alone() -> None:
    async def test() -> None:
        queue, bundle = batcher(max_cost=5), Sums()
        sizes = [1, 2, 2, 2, 9, 1, 4, 1]
        await asyncio.gather(*(queue.score(bundle, batch(*[0.0] * size)) for size in sizes))
        assert [len(call) for call in bundle.calls] == [1, 4, 2, 9, 5, 1]

    run(test())


def test_requests_of_two_bundles_are_never_merged() -> None:
    async def test() -> None:
        queue, old, new = batcher(), Sums(1), Sums(2)
        asked = [queue.score(bundle, batch(1.0)) for bundle in (old, old, old, new, new)]
        assert [scores[0, 1] for scores in await asyncio.gather(*asked)] == [2, 2, 2, 3, 3]
        assert (len(old.calls), len(new.calls)) == (2, 1)

    run(test())


def test_plain_rows_and_users_with_candidates_are_never_merged() -> None:
    def ranking(number: float) -> Batch:
        return Batch({"x": np.array([number]), "candidates.lengths": np.array([1])}, 1)

    async def test() -> None:
        queue, bundle = batcher(), Sums()
        batches = [batch(1.0), batch(2.0), batch(3.0), ranking(4.0), ranking(5.0), batch(6.0)]
        scores = await asyncio.gather(*(queue.score(bundle, one) for one in batches))
        assert bundle.calls == [[1.0], [2.0, 3.0], [4.0, 5.0], [6.0]]
        assert [one[0, 0] for one in scores] == [1, 2, 3, 4, 5, 6]

    run(test())


def test_a_request_that_fails_fails_alone() -> None:
    async def test() -> None:
        queue, bundle = batcher(), Sums()
        asked = [queue.score(bundle, batch(number)) for number in (1.0, 2.0, -3.0, 4.0)]
        *found, last = await asyncio.gather(*asked, return_exceptions=True)
        assert [one[0, 0] for one in (found[0], found[1], last)] == [1, 2, 4]
        assert str(found[2]) == "-3.0 is negative"

    run(test())


def test_a_full_queue_sends_requests_away_and_recovers() -> None:
    async def test() -> None:
        queue, bundle = batcher(max_waiting=3), Sums()
        bundle.may_go.clear()
        asked = [asyncio.create_task(queue.score(bundle, batch(float(n)))) for n in range(6)]
        await asyncio.sleep(0)
        assert queue.num_waiting == 3
        bundle.may_go.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(one, Overloaded) for one in found] == [False] * 4 + [True] * 2
        assert (await queue.score(bundle, batch(7.0)))[0, 0] == 7

    run(test())


def test_requests_whose_client_has_gone_are_not_scored() -> None:
    async def test() -> None:
        queue, bundle = batcher(), Sums()
        bundle.may_go.clear()
        asked = [asyncio.create_task(queue.score(bundle, batch(float(n)))) for n in range(4)]
        await asyncio.sleep(0)
        asked[2].cancel()
        bundle.may_go.set()
        await asyncio.wait(asked)
        assert bundle.calls == [[0.0], [1.0, 3.0]]

    run(test())


@pytest.mark.parametrize("seed", range(5))
def test_many_callers_get_their_own_scores(seed: int) -> None:
    draw = random.Random(seed)

    async def caller(queue: Batcher, bundles: list[Sums]) -> None:
        for _ in range(20):
            numbers = [draw.choice([-1.0, draw.random(), draw.random()]) for _ in range(draw.randrange(4))]
            bundle = draw.choice(bundles)
            try:
                scores = await queue.score(bundle, batch(*numbers))
            except DataError:
                assert -1.0 in numbers
            else:
                assert scores.tolist() == [[number, number + bundle.version] for number in numbers]
            if draw.random() < 0.3:
                await asyncio.sleep(0)

    async def test() -> None:
        queue, bundles = batcher(max_cost=20), [Sums(1), Sums(2)]
        await asyncio.gather(*(caller(queue, bundles) for _ in range(50)))

    run(test())
