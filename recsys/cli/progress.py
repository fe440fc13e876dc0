"""Progress of long work on the console: a bar on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from recsys.console import console, log
from recsys.progress import OnProgress
from recsys.units import format_duration

__all__ = ["progress_reports"]

LOG_SECONDS = 15.0
"""Least time between two lines of a log."""

UNITS = {"cells": "", "candidates": "", "features": "", "trials": ""}
"""Unit of each phase that does not count rows."""


@contextmanager
def progress_reports() -> Iterator[OnProgress]:
    """Yield a callable that shows the progress of one piece of work after another on stderr."""
    if not sys.stderr.isatty():
        yield _LogReports()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        yield _BarReports(bar)


class _BarReports:
    """Shows a bar for each stage."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.tasks: dict[str, TaskID] = {}
        self.pace = _Pace()

    def __call__(self, stage: str, done: int, total: int | None, /) -> None:
        if stage not in self.tasks:
            self.tasks[stage] = self.bar.add_task(stage, total=total, left="")
        left = self.pace.time_left(stage, done, total)
        self.bar.update(self.tasks[stage], completed=done, total=total, left=left)


class _LogReports:
    """Writes a line every `LOG_SECONDS`."""

    def __init__(self) -> None:
        self.logged_at = time.monotonic()
        self.pace = _Pace()

    def __call__(self, stage: str, done: int, total: int | None, /) -> None:
        left = self.pace.time_left(stage, done, total)
        if time.monotonic() - self.logged_at >= LOG_SECONDS:
            self.logged_at = time.monotonic()
            of_total = "" if total is None else f" of {total:,}"
            log(f"{stage}: {done:,}{of_total}{UNITS.get(stage, ' rows')}{left and f', {left}'}")


class _Pace:
    """Estimates how long a stage will take from the reports since its first one."""

    def __init__(self) -> None:
        self.first: dict[str, tuple[float, int]] = {}

    def time_left(self, stage: str, done: int, total: int | None) -> str:
        """Return the remaining time for people; an empty text where it is not known, or the stage is done."""
        started, first = self.first.setdefault(stage, (time.monotonic(), done))
        if total is None or done <= first or done >= total:
            return ""
        return time_left((time.monotonic() - started) / (done - first) * (total - done))


def time_left(seconds: float) -> str:
    """Write a remaining time for people.

    >>> time_left(4000), time_left(45)
    ('about 1 h 6 min left', 'less than a minute left')
    """
    return "less than a minute left" if seconds < 60 else f"about {format_duration(seconds)} left"
