"""Work that a stopped command can go on with: its progress, and what is said when a signal ends it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from recsys.cli.interrupts import raising_interrupts
from recsys.cli.progress import progress_reports
from recsys.errors import Preempted
from recsys.progress import OnProgress

__all__ = ["resumable"]


@contextmanager
def resumable(say_how_it_ended: Callable[[str], None]) -> Iterator[OnProgress]:
    """Yield a callable for the progress of the block; if a signal ends it, say so before it is raised.

    Args:
        say_how_it_ended: called with "interrupted" or "stopped by SIGTERM".

    Raises:
        KeyboardInterrupt: Ctrl-C came.
        Preempted: a SIGTERM came, and what is needed to resume is saved.
    """
    from recsys.ranks.signals import stopping_on_sigterm  # not at the top: torch takes seconds to import

    try:
        with (
            stopping_on_sigterm(lambda: say_how_it_ended("stopped by SIGTERM")),
            raising_interrupts(),
            progress_reports() as on_progress,
        ):
            yield on_progress
    except KeyboardInterrupt:
        say_how_it_ended("interrupted")
        raise
    except Preempted:
        say_how_it_ended("stopped by SIGTERM")
        raise
