"""The course of a training: what it took until each validation, and the AUC found there."""

import json
import time
from pathlib import Path
from typing import NamedTuple

Point = tuple[float, float, float]
"""Seconds and CPU seconds since the training began, and the AUC."""


class Course(NamedTuple):
    """What is known of a training."""

    points: list[Point]
    ended: bool
    """Whether it came to its own end; what was stopped has the points until then."""


class Clock:
    """Notes a point a validation; preparing rows and building the model are not counted, validating is.

    Args:
        file: Where the course is kept, from the first point on; None keeps it nowhere.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.points: list[Point] = []
        self.file = file
        self.start()

    def start(self) -> None:
        """Begin, with the model built and the rows in memory."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def note(self, auc: float) -> None:
        """Note the AUC of the validation that has just ended."""
        self.points.append((time.perf_counter() - self._wall, time.process_time() - self._cpu, float(auc)))
        self.write(ended=False)

    def write(self, *, ended: bool) -> None:
        """Write the course."""
        if self.file is not None:
            self.file.write_text(json.dumps(Course(self.points, ended)._asdict()))


def read_course(file: Path) -> Course:
    """Read what a clock wrote."""
    course = json.loads(file.read_text())
    return Course([(wall, cpu, auc) for wall, cpu, auc in course["points"]], course["ended"])
