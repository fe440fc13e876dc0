"""SIGTERM, by which a cluster takes its machine back: a training saves and stops, anything else stops at once.

A signal handler in Python runs in the main thread, which may be inside a collective or a kernel for minutes. So CPython
writes the number of the signal to a pipe (`signal.set_wakeup_fd`), and a thread acts on it.
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

__all__ = [
    "Preempted",
    "delay_exit",
    "reinstall_handler",
    "saving_on_sigterm",
    "stop_requested",
    "stopping_on_sigterm",
]


class _State:
    """What this process does on SIGTERM."""

    requested = False
    log: Callable[[str], None] | None = None
    """Set while a training can save."""
    before_exit: Callable[[], None] | None = None
    exit_delay = 0.0
    """Seconds to wait before the process ends at once."""


def stop_requested() -> bool:
    """Return whether SIGTERM came while a training could save; the training then saves and raises `Preempted`."""
    return _State.requested


@contextmanager
def stopping_on_sigterm(before_exit: Callable[[], None] | None = None) -> Iterator[None]:
    """End the process at once with code 75 on SIGTERM; inside a `saving_on_sigterm` block, let it save first.

    Does nothing outside the main thread, where Python sets no handlers.

    Args:
        before_exit: called in another thread before the process ends at once.
    """
    if current_thread() is not main_thread():
        yield
        return
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    former_pipe = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    former_handler = signal.signal(signal.SIGTERM, _ignore)
    _State.before_exit = before_exit
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
        _State.requested, _State.before_exit = False, None


@contextmanager
def saving_on_sigterm(log: Callable[[str], None]) -> Iterator[None]:
    """Make SIGTERM only set `stop_requested()`; the training inside the block then saves and raises `Preempted`.

    Args:
        log: called once, in another thread, with a line that says that the signal came.

    Raises:
        Preempted: the signal came too late for the training, which has ended.
    """
    with stopping_on_sigterm() if signal.getsignal(signal.SIGTERM) != _ignore else _nothing():
        _State.log = log
        try:
            yield
        finally:
            _State.log = None
        if _State.requested:
            raise Preempted


def reinstall_handler() -> None:
    """Install the handler again after a library has installed its own, as Lightning does when `fit` begins."""
    if current_thread() is main_thread():
        signal.signal(signal.SIGTERM, _ignore)


def delay_exit(seconds: float) -> None:
    """Make SIGTERM wait before it ends the process: torchrun sends it when a rank fails, whose reason comes first."""
    _State.exit_delay = seconds


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Keep the system from ending the process; the listening thread does the work."""


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _listen(pipe: int) -> None:
    while number := os.read(pipe, 1):
        if number[0] == signal.SIGTERM:
            _on_sigterm()


def _on_sigterm() -> None:
    log = _State.log
    if log is None:
        _end_at_once()
    elif not _State.requested:
        _State.requested = True
        log("SIGTERM: saving and stopping after this batch")


def _end_at_once() -> None:
    time.sleep(_State.exit_delay)
    with suppress(Exception):  # whatever it is, the process must end
        if _State.before_exit is not None:
            _State.before_exit()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(Preempted.EXIT_CODE)
