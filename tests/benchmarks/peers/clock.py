"""The course of a training: what it took until each validation, and the AUC found there."""

import time

Point = tuple[float, float, float]
"""Seconds and CPU seconds since the training began, and the AUC."""


class Clock:
    """Notes a point a validation; preparing rows and building the model are not counted, validating is."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.start()

    def start(self) -> None:
        """Begin, with the model built and the rows in memory."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def note(self, auc: float) -> None:
        """Note the AUC of the validation that has just ended."""
        self.points.append((time.perf_counter() - self._wall, time.process_time() - self._cpu, float(auc)))
