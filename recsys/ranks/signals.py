"""SIGTERM, by which a cluster takes its machine back: a training saves and stops, everything else stops at once.

A handler in Python waits for the main thread, which may be inside a collective or a kernel for minutes. So the
handler proper is C Python's, which writes the number of the signal to a pipe, and a thread acts on it.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread, current_thread, main_thread
from types import FrameType

from recsys.errors import Preempted

__all__ = ["Preempted", "keep_handler", "saving_on_sigterm", "stop_requested", "stopping_on_sigterm"]


class _State:
    """What this process does on SIGTERM."""

    requested = False
    announce: Callable[[str], None] | None = None
    """Set while a training can save."""
    last_words: Callable[[], None] | None = None
    pause = 0.0
    """Before an end at once, in seconds."""


def stop_requested() -> bool:
    """Return whether a SIGTERM came while a training could save: it then saves and raises `Preempted`."""
    return _State.requested


@contextmanager
def stopping_on_sigterm(last_words: Callable[[], None] | None = None) -> Iterator[None]:
    """On SIGTERM, end the process at once with code 75; where `saving_on_sigterm` is inside, ask that to stop.

    Does nothing outside the main thread, where Python sets no handlers.

    Args:
        last_words: called before the process ends at once, in another thread.
    """
    if current_thread() is not main_thread():
        yield
        return
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    former_pipe = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    former_handler = signal.signal(signal.SIGTERM, _leave_it_to_the_thread)
    _State.last_words = last_words
    listener = Thread(target=_listen, args=(read_end,), name="signals", daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former_handler)
        signal.set_wakeup_fd(former_pipe)
        os.close(write_end)
        listener.join()
        os.close(read_end)
        _State.requested, _State.last_words = False, None


@contextmanager
def saving_on_sigterm(announce: Callable[[str], None]) -> Iterator[None]:
    """Let SIGTERM only set `stop_requested()`, for the training inside that saves and raises `Preempted`.

    Args:
        announce: told once, in another thread, that the signal came.

    Raises:
        Preempted: the signal came too late for the training, which has ended.
    """
    with stopping_on_sigterm() if signal.getsignal(signal.SIGTERM) != _leave_it_to_the_thread else _nothing():
        _State.announce = announce
        try:
            yield
        finally:
            _State.announce = None
        if _State.requested:
            raise Preempted


def keep_handler() -> None:
    """Install the handler again, after somebody else (Lightning, as its fit begins) has put their own before it."""
    if current_thread() is main_thread():
        signal.signal(signal.SIGTERM, _leave_it_to_the_thread)


def wait_before_end(seconds: float) -> None:
    """Let SIGTERM wait: torchrun sends it when another rank has failed, and the reason should be said first."""
    _State.pause = seconds


def _leave_it_to_the_thread(_number: int, _frame: FrameType | None) -> None:
    """Keep the system from ending the process, which is all a handler in the main thread has to do."""


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _listen(pipe: int) -> None:
    while number := os.read(pipe, 1):
        if number[0] == signal.SIGTERM:
            _on_sigterm()


def _on_sigterm() -> None:
    announce = _State.announce
    if announce is None:
        _end_at_once()
    elif not _State.requested:
        _State.requested = True
        announce("SIGTERM: saving and stopping after this batch")


def _end_at_once() -> None:
    time.sleep(_State.pause)
    with suppress(Exception):  # whatever it is, the process must end
        if _State.last_words is not None:
            _State.last_words()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(Preempted.EXIT_CODE)
