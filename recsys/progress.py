"""The progress of long work: one type of callable for all of it, and what is called where nobody listens."""

from typing import Protocol

__all__ = ["OnProgress", "no_log", "no_progress"]


class OnProgress(Protocol):
    """A callable that is told now and then how far some work is."""

    def __call__(self, stage: str, done: int, total: int | None, /) -> None:
        """Take a report.

        Args:
            stage: what is being done, e.g. "fit" or "scoring".
            done: rows (or cells of a benchmark) that are done.
            total: how many there are; None if that is not known.
        """


def no_progress(stage: str, done: int, total: int | None, /) -> None:
    """Ignore a report."""


def no_log(line: str, /) -> None:
    """Ignore a line of a log."""
