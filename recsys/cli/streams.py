"""Standard output and error that say what the system refuses, and take no offence at a reader that is gone."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

__all__ = ["safe_streams"]


class _Output(io.FileIO):
    """Writes to a file descriptor of the process.

    When nobody reads any more (`| head -1`), what is written goes nowhere, and the command goes on: a training does not
    end because its log is not read. On a full disk, results raise an error that names the file; messages are lost.

    Args:
        descriptor: 1 or 2.
        are_results: whether what is written are results, and not messages.
    """

    def __init__(self, descriptor: int, *, are_results: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.are_results = are_results

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            named = OSError(error.errno, error.strerror, _file_name(self.fileno()))
            self._discard_the_rest()
            if self.are_results and not isinstance(error, BrokenPipeError):
                raise named from None
            return len(memoryview(content).cast("B"))

    def _discard_the_rest(self) -> None:
        """Let the descriptor lead nowhere, so that flushing what is still in a buffer does not fail again."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Replace `sys.stdout` and `sys.stderr` in the block if they are those of the process."""
    former = sys.stdout, sys.stderr
    if sys.stdout is sys.__stdout__ is not None:  # None: the shell has closed it
        sys.stdout = _safe(sys.stdout, are_results=True)
    if sys.stderr is sys.__stderr__ is not None:
        sys.stderr = _safe(sys.stderr, are_results=False)
    try:
        yield
    finally:
        if sys.stderr is not None:
            sys.stderr.flush()
        sys.stdout, sys.stderr = former


def _safe(stream: Any, *, are_results: bool) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), are_results=are_results)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _file_name(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return "standard output"
