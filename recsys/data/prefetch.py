"""Prepare items in a background thread while earlier ones are used."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from queue import Empty, Queue
from typing import TypeVar

__all__ = ["prefetched"]

T = TypeVar("T")


class _End:
    """Last entry of the queue: the error that ended the items, or None."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetched(items: Iterator[T], *, size: int) -> Generator[T, None, None]:
    """Yield `items`, which a background thread prepares up to `size` ahead; closing the generator ends the thread.

    >>> list(prefetched(iter("abc"), size=2))
    ['a', 'b', 'c']
    """
    queue: Queue[T | _End] = Queue(size)
    stopped = threading.Event()

    def work() -> None:
        try:
            for item in items:
                queue.put(item)
                if stopped.is_set():
                    return
            queue.put(_End(None))
        except BaseException as error:
            queue.put(_End(error))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        while thread.is_alive():  # it may be waiting for room in the queue
            with suppress(Empty):
                queue.get(timeout=0.01)
