"""The time that each part of a search takes, added up over interruptions."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from recsys.checksums import read_json, with_checksum, without_checksum
from recsys.files import write_json
from recsys.progress import OnProgress

__all__ = ["Cost", "CostClock"]

SAVE_SECONDS = 10.0
"""Time after which the cost so far is written, so that a kill loses no more of it."""
_REMEDY = "delete it, and the time until now is not counted"


class Cost(NamedTuple):
    """Time that some work took."""

    seconds: float = 0.0
    """Seconds on the clock."""
    cpu_seconds: float = 0.0
    """Seconds that cores were busy, those of all threads added up."""

    def plus(self, other: "Cost") -> "Cost":
        """Return the time of both."""
        return Cost(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)


class CostClock:
    """Adds the time of this process to what a file says of former ones.

    Args:
        path: JSON file with the cost of each part.

    Raises:
        DataError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        known = without_checksum(read_json(path, remedy=_REMEDY), path, remedy=_REMEDY) if path.exists() else {}
        self.costs = {part: Cost(*figures) for part, figures in known.items()}

    def of(self, *parts: str) -> Cost:
        """Return the cost of some parts."""
        total = Cost()
        for part in parts:
            total = total.plus(self.costs.get(part, Cost()))
        return total

    @contextmanager
    def measuring(self, part: str, on_progress: OnProgress) -> Iterator[OnProgress]:
        """Count the time of the block, and yield a callable for its progress, which names the part."""
        before, started = self.of(part), _now()
        saved = time.monotonic()

        def take() -> None:
            now = _now()
            self.costs[part] = before.plus(Cost(now.seconds - started.seconds, now.cpu_seconds - started.cpu_seconds))
            write_json(self.path, with_checksum({name: list(cost) for name, cost in self.costs.items()}))

        def report(stage: str, done: int, total: int | None, /) -> None:
            nonlocal saved
            if time.monotonic() - saved >= SAVE_SECONDS:
                saved = time.monotonic()
                take()
            on_progress(stage if stage == part else f"{part}: {stage}", done, total)

        try:
            yield report
        finally:
            take()


def _now() -> Cost:
    return Cost(time.monotonic(), time.process_time())
