"""Quantiles of a stream, in bounded memory and independent of the chunks it comes in."""

import numpy as np

from recsys.features.counts import ValueCounts
from recsys.features.fingerprint import Keys
from recsys.features.moments import Numbers

__all__ = ["OrderedCounts", "from_ordered", "quantile_boundaries", "to_ordered"]

_MAGNITUDE = np.int64(2**63 - 1)


def to_ordered(numbers: Numbers) -> Keys:
    """Map floats to integers in the same order (their IEEE 754 bits, negative ones flipped).

    >>> to_ordered(np.array([-1.5, -0.0, 0.0, 1.0])).tolist()
    [-4609434218613702657, 0, 0, 4607182418800017408]
    """
    bits = (numbers + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    return bits ^ ((bits >> 63) & _MAGNITUDE)


def from_ordered(keys: Keys) -> Numbers:
    """Map the integers back to their floats."""
    return (keys ^ ((keys >> 63) & _MAGNITUDE)).view(np.float64)


class OrderedCounts:
    """Counts of int64 values, which lose low bits, all alike, when there are too many distinct ones.

    At most `limit` cells of 2**dropped neighbouring values are kept. `dropped` is the least number of bits that
    suffices for the whole stream, hence the result does not depend on chunks or order. Over `to_ordered` floats a
    cell is at most a factor 1 + 2**(dropped - 52) wide: exact up to `limit` distinct values, about 6 digits for a
    continuous column that spans twelve powers of two, and never worse than 2**-6 (all floats there are).
    """

    def __init__(self, limit: int = 2**18) -> None:
        self.limit = limit
        self.dropped = 0
        self.cells = ValueCounts()

    def add(self, values: Keys) -> None:
        """Count an array, shape (V,)."""
        self.cells.add(values >> self.dropped)
        self._shrink(slack=4)

    def merge(self, other: "OrderedCounts") -> None:
        """Count everything that `other` has counted."""
        while self.dropped < other.dropped:
            self._coarsen()
        while other.dropped < self.dropped:
            other._coarsen()
        self.cells.merge(other.cells)
        self._shrink(slack=4)

    def at_ranks(self, ranks: Keys) -> Keys:
        """Return the lowest value of the cell that holds the value of each rank (from 0, in ascending order)."""
        return self.cells_at(ranks) << self.dropped

    def cells_at(self, ranks: Keys) -> Keys:
        """Return the cell of each rank."""
        self._shrink(slack=1)
        values, counts = self.cells.result()
        return values[np.searchsorted(np.cumsum(counts), ranks, side="right")]

    def below(self, cell: int) -> int:
        """Return how many values lie below a cell."""
        values, counts = self.cells.result()
        return int(counts[values < cell].sum())

    def _shrink(self, slack: int) -> None:
        if self.cells.num_stored > slack * self.limit or slack == 1:
            while len(self.cells.result()[0]) > self.limit:
                self._coarsen()

    def _coarsen(self) -> None:
        self.cells.shift_right()
        self.dropped += 1


def quantile_boundaries(counted: OrderedCounts, buckets: int) -> Numbers:
    """Cut a column into `buckets` parts of about equal size; equal boundaries become one.

    >>> counted = OrderedCounts()
    >>> counted.add(to_ordered(np.arange(100.0)))
    >>> quantile_boundaries(counted, 4).tolist()
    [25.0, 50.0, 75.0]

    Returns:
        (at most buckets - 1,) strictly increasing: the value of rank floor(i * count / buckets) for i = 1, 2, ...
        Those equal to the smallest value are left out, as no training row would be below them.
    """
    total = counted.cells.total
    if total == 0:
        return np.empty(0)
    ranks = np.arange(buckets, dtype=np.int64) * total // buckets
    keys = np.unique(counted.at_ranks(ranks))
    return from_ordered(keys[1:])
