"""Ctrl-C ends a command with exit code 130, whatever the code that it comes out of makes of it.

Libraries turn the KeyboardInterrupt into errors of their own (a file that "cannot be read"), end the process, or print
it and go on. So what counts is that the signal came.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["handling_interrupts", "raising_interrupts", "was_interrupted"]

AGAIN_SECONDS = 1.0
"""A second signal within this time is that of a wrapper that passes on what the terminal has sent already."""


class _State:
    """When the first signal came, on the monotonic clock."""

    since: float | None = None


def was_interrupted() -> bool:
    """Return whether Ctrl-C came."""
    return _State.since is not None


@contextmanager
def handling_interrupts() -> Iterator[None]:
    """Note Ctrl-C in the block, and raise it as KeyboardInterrupt; a second one ends the process at once.

    Does nothing where the signal is ignored or handled by somebody else, and outside the main thread.
    """
    former = signal.getsignal(signal.SIGINT)
    if former is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    hooks = sys.unraisablehook, threading.excepthook
    _State.since = None
    signal.signal(signal.SIGINT, _on_interrupt)
    sys.unraisablehook, threading.excepthook = _on_unraisable, _on_thread_error
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
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


def _on_interrupt(_number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _State.since is None:
        _State.since = now
        if _is_importing(frame):  # modules in native code end the process, or are left half made
            os._exit(130)
    elif now - _State.since > AGAIN_SECONDS:
        os._exit(130)  # what is written is whole or not there
    raise KeyboardInterrupt


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
        timer = threading.Timer(0.05, signal.raise_signal, [signal.SIGINT])
        timer.daemon = True
        timer.start()
    elif not was_interrupted():
        sys.__unraisablehook__(unraisable)


def _on_thread_error(error: Any) -> None:
    """Print what ended a thread; TensorBoard's writer hands its error to the next who writes, so it prints none."""
    if not was_interrupted() and not type(error.thread).__module__.startswith("tensorboard"):
        threading.__excepthook__(error)
