"""Scoring in one thread outside of the event loop; small requests that wait together are scored together.

Nothing waits for company: while the thread scores, requests gather, and the next call takes as many of them as
`max_cost` allows. So an idle server answers at once, and a busy one in few large calls.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from recsys.serving.protocol.layout import Batch, concatenate
from recsys.serving.server.refusals import Overloaded

__all__ = ["Batcher", "Scored", "score_together"]

Scored: TypeAlias = np.ndarray | Exception


class _Scores(Protocol):
    """A bundle, as far as it is needed here."""

    def score(self, batch: Batch) -> np.ndarray: ...


class _Waiting(NamedTuple):
    bundle: _Scores
    batch: Batch
    answer: "asyncio.Future[np.ndarray]"


class Batcher:
    """The queue before the thread; lives in one event loop.

    Args:
        max_cost: `Batch.cost` up to which requests are merged; one that costs more is scored alone.
        max_waiting: requests that may wait.
        on_call: called before each call of a bundle.
    """

    def __init__(self, *, max_cost: int, max_waiting: int, on_call: Callable[[], None] = lambda: None) -> None:
        self.max_cost = max_cost
        self.max_waiting = max_waiting
        self.on_call = on_call
        self._waiting: deque[_Waiting] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scoring")
        self._is_scoring = False

    @property
    def num_waiting(self) -> int:
        """Number of requests in the queue."""
        return len(self._waiting)

    async def score(self, bundle: _Scores, batch: Batch) -> np.ndarray:
        """Return the scores of one request, computed by this bundle: (rows, tasks).

        Raises:
            Overloaded: too many requests wait.
            DataError: the rows do not fit.
        """
        if len(self._waiting) >= self.max_waiting:
            raise Overloaded(f"{len(self._waiting)} requests wait already; try again in a second")
        answer: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(bundle, batch, answer))
        self._start()
        return await answer

    def close(self) -> None:
        """Let the thread end, after what it scores now."""
        self._thread.shutdown(wait=True)

    def _start(self) -> None:
        if self._is_scoring:
            return
        group = self._take()
        if not group:
            return
        self._is_scoring = True
        self.on_call()
        loop = asyncio.get_running_loop()
        scoring = loop.run_in_executor(self._thread, score_together, group[0].bundle, [one.batch for one in group])
        scoring.add_done_callback(lambda done: self._answer(group, done.result()))

    def _take(self) -> list[_Waiting]:
        """Take the first requests of the queue that one call may score; those whose client has gone are left out."""
        group: list[_Waiting] = []
        cost = 0
        while self._waiting:
            first = self._waiting[0]
            cost += first.batch.cost
            if group and (cost > self.max_cost or not _go_together(first, group[0])):
                break
            self._waiting.popleft()
            if first.answer.done():
                cost -= first.batch.cost
            else:
                group.append(first)
        return group

    def _answer(self, group: Sequence[_Waiting], scored: Sequence[Scored]) -> None:
        self._is_scoring = False
        for one, scores in zip(group, scored, strict=True):
            if one.answer.done():
                continue
            if isinstance(scores, Exception):
                one.answer.set_exception(scores)
            else:
                one.answer.set_result(scores)
        self._start()


def _go_together(one: _Waiting, other: _Waiting) -> bool:
    return one.bundle is other.bundle and one.batch.is_ranking == other.batch.is_ranking


def score_together(bundle: _Scores, batches: Sequence[Batch]) -> list[Scored]:
    """Score the rows of several requests in one call; if it fails, each alone, so that one cannot spoil the others."""
    try:
        scores = bundle.score(concatenate(batches))
    except Exception as error:
        if len(batches) == 1:
            return [error]
        return [scored for batch in batches for scored in score_together(bundle, [batch])]
    ends = np.cumsum([batch.num_rows for batch in batches])
    return list(np.split(scores, ends[:-1]))
