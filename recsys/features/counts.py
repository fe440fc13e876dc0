"""Counting the distinct values of a stream of arrays."""

import numpy as np

from recsys.features.fingerprint import Keys

__all__ = ["ValueCounts"]

_SMALL = 2**16


class ValueCounts:
    """Occurrences of each int64 value.

    New arrays are reduced to their distinct values at once, and merged into the whole when these have grown to its
    size: every value is sorted a number of times that does not depend on how many arrays there are.

    Attributes:
        total: values counted so far, repeated ones included.
    """

    def __init__(self) -> None:
        self.total = 0
        self._merged = _empty()
        self._pending: list[tuple[Keys, Keys]] = []
        self._num_pending = 0

    @property
    def num_stored(self) -> int:
        """Values held now, at least the number of distinct ones."""
        return len(self._merged[0]) + self._num_pending

    def add(self, values: Keys) -> None:
        """Count an array, shape (V,)."""
        self._append(*np.unique(values, return_counts=True))

    def merge(self, other: "ValueCounts") -> None:
        """Count everything that `other` has counted."""
        for values, counts in [other._merged, *other._pending]:
            self._append(values, counts)

    def result(self) -> tuple[Keys, Keys]:
        """Return the distinct values in ascending order and their counts, both (N,) int64."""
        if self._pending:
            values, counts = (np.concatenate(parts) for parts in zip(self._merged, *self._pending, strict=True))
            order = np.argsort(values)
            values = values[order]
            starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
            self._merged = values[starts], np.add.reduceat(counts[order], starts)
            self._pending, self._num_pending = [], 0
        return self._merged

    def shift_right(self) -> None:
        """Halve every value, rounding down, and add up the counts of those that have become equal."""
        values, counts = self.result()
        if len(values):
            self._merged, self._pending = _empty(), [(values >> 1, counts)]
            self.result()

    def _append(self, values: Keys, counts: Keys) -> None:
        if len(values) == 0:
            return
        self.total += int(counts.sum())
        self._pending.append((values, counts))
        self._num_pending += len(values)
        if self._num_pending > max(_SMALL, len(self._merged[0])):
            self.result()


def _empty() -> tuple[Keys, Keys]:
    return np.empty(0, np.int64), np.empty(0, np.int64)
