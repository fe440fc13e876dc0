"""Work on several chunks at once, with results in the order of the chunks."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_WORKERS = 8


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` for each item, in their order, computed by one thread a core.

    Threads help since polars, numpy and Arrow release the interpreter's lock. At most one item more than there are
    threads is held at a time. The first item, in order, whose call raises ends the iteration with its exception.
    """
    workers = min(len(os.sched_getaffinity(0)), _MOST_WORKERS)
    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) > workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
