"""Ctrl-C ends a command with exit code 130, whatever the code that it comes out of makes of it.

Libraries turn the KeyboardInterrupt into errors of their own (a file that "cannot be read"), end the process, or print
it and go on. So what counts is that the signal came.

SIGTERM is handled in the same way, so that what is half written is removed; the process then ends by that signal.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

__all__ = ["end_as_interrupted", "handling_interrupts", "raising_interrupts", "was_interrupted"]

AGAIN_SECONDS = 1.0
"""A second signal within this time is that of a wrapper that passes on what the terminal has sent already."""


class _State:
    """The first signal, and when it came on the monotonic clock."""

    since: float | None = None
    number: int = signal.SIGINT


def was_interrupted() -> bool:
    """Return whether Ctrl-C or SIGTERM came."""
    return _State.since is not None


def end_as_interrupted() -> NoReturn:
    """End with exit code 130 after Ctrl-C; by the signal itself after SIGTERM."""
    _end_by_sigterm(_State.number)
    sys.exit(130)


@contextmanager
def handling_interrupts() -> Iterator[None]:
    """Note Ctrl-C and SIGTERM in the block, and raise KeyboardInterrupt; a second one ends the process at once.

    Does nothing where Ctrl-C is ignored, and outside the main thread. SIGTERM is left to whoever handles or ignores it
    already, and to the system in a process of several that train together: its launcher does not wait for long.
    """
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if former[signal.SIGINT] is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    if former[signal.SIGTERM] is not signal.SIG_DFL or "RANK" in os.environ:
        del former[signal.SIGTERM]
    hooks = sys.unraisablehook, threading.excepthook
    _State.since, _State.number = None, signal.SIGINT
    for number in former:
        signal.signal(number, _on_interrupt)
    sys.unraisablehook, threading.excepthook = _on_unraisable, _on_thread_error
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        sys.unraisablehook, threading.excepthook = hooks


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt for what the code in the block has made of it."""
    try:
        yield
    except Exception as error:
        if was_interrupted():
            raise KeyboardInterrupt from error
        raise


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _State.since is None:
        _State.since, _State.number = now, number
        if _is_importing(frame):  # modules in native code end the process, or are left half made
            _end_at_once(number)
    elif now - _State.since > AGAIN_SECONDS:
        _end_at_once(number)  # what is written is whole or not there
    raise KeyboardInterrupt


def _end_at_once(number: int) -> NoReturn:
    _end_by_sigterm(number)
    os._exit(130)


def _end_by_sigterm(number: int) -> None:
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _on_unraisable(unraisable: Any) -> None:
    """Raise again an interrupt that came where nothing can be raised, as in a finalizer."""
    if unraisable.exc_type is not None and issubclass(unraisable.exc_type, KeyboardInterrupt):
        _State.since = None
        timer = threading.Timer(0.05, signal.raise_signal, [_State.number])
        timer.daemon = True
        timer.start()
    elif not was_interrupted():
        sys.__unraisablehook__(unraisable)


def _on_thread_error(error: Any) -> None:
    """Print what ended a thread; TensorBoard's writer hands its error to the next who writes, so it prints none."""
    if not was_interrupted() and not type(error.thread).__module__.startswith("tensorboard"):
        threading.__excepthook__(error)
