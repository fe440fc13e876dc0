"""Progress of long work on the console: a bar on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["console", "print_table", "progress_reports"]

console = Console(stderr=True, highlight=False, soft_wrap=True)
"""Everything but results goes to stderr, so that results can be piped."""

LOG_SECONDS = 15.0


def print_table(table: Table, *, stderr: bool = False) -> None:
    """Print a table as wide as its cells need: on a narrow terminal, or in a pipe, none is cut or wrapped."""
    Console(stderr=stderr, highlight=False, width=10_000).print(table, crop=False)


@contextmanager
def progress_reports() -> Iterator[Callable[[str, int, int | None], None]]:
    """Yield a function that shows (stage, rows done, rows in all if known)."""
    if sys.stderr.isatty():
        with _bar() as bar:
            tasks: dict[str, int] = {}

            def show(stage: str, done: int, total: int | None) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(stage, total=total)
                bar.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

            yield show
        return
    logged_at = time.monotonic()

    def log(stage: str, done: int, total: int | None) -> None:
        nonlocal logged_at
        if time.monotonic() - logged_at >= LOG_SECONDS:
            logged_at = time.monotonic()
            console.print(f"{stage}: {done:,}{'' if total is None else f' of {total:,}'} rows")

    yield log


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
