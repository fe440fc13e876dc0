"""Which keys a field knows: ids 1.. by descending training frequency, 0 for everything else."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recsys.features.counts import ValueCounts
from recsys.features.fingerprint import Keys
from recsys.features.lookup import DenseLookup, HashLookup, Lookup

__all__ = ["Vocabulary", "VocabularyCounter"]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Keys and their ids, dense from 1; id 0 is "unknown".

    >>> counter = VocabularyCounter()
    >>> counter.add(np.array([7, 7, -3, 5, 5, 9]))
    >>> vocabulary = counter.finish(min_count=1, max_size=3)
    >>> vocabulary.encode(np.array([5, 7, -3, 9, 1])).tolist()  # 5 and 7 tie: the smaller key comes first
    [1, 2, 3, 0, 0]

    Attributes:
        keys: (N,) int64, ascending and distinct.
        ids: (N,) int32, id of each key.
        counts: (N + 1,) int64 by id: occurrences in the training split; counts[0] is that of all dropped keys.
    """

    keys: Keys
    ids: NDArray[np.int32]
    counts: Keys

    @property
    def size(self) -> int:
        """Number of ids, the unknown one included."""
        return len(self.keys) + 1

    def encode(self, keys: Keys) -> NDArray[np.int32]:
        """Return the id of each key, 0 where the vocabulary does not hold it; shapes (V,) -> (V,)."""
        return self._lookup.find(keys)

    @classmethod
    def in_order(cls, keys: Sequence[int], counted: ValueCounts) -> "Vocabulary":
        """Give the keys ids 1.. in the order they come in (a repeated key keeps its first place)."""
        listed = np.array(list(dict.fromkeys(keys)), dtype=np.int64)
        order = np.argsort(listed)
        counts = np.zeros(len(listed) + 1, np.int64)
        vocabulary = cls(listed[order], (order + 1).astype(np.int32), counts)
        seen, seen_counts = counted.result()
        np.add.at(counts, vocabulary.encode(seen), seen_counts)
        return vocabulary

    @cached_property
    def _lookup(self) -> Lookup:
        return DenseLookup.fitting(self.keys, self.ids) or HashLookup(self.keys, self.ids)


class VocabularyCounter:
    """Counts keys piece by piece; the vocabulary depends neither on the pieces nor on their order.

    Memory grows with the number of distinct keys (16 bytes each, twice that while merging), not with the rows.
    """

    def __init__(self) -> None:
        self.values = ValueCounts()

    def add(self, keys: Keys) -> None:
        """Count an array of keys."""
        self.values.add(keys)

    def merge(self, other: "VocabularyCounter") -> None:
        """Count everything that `other` has counted."""
        self.values.merge(other.values)

    def finish(self, *, min_count: int, max_size: int | None) -> Vocabulary:
        """Keep keys seen at least `min_count` times, of these the `max_size` most frequent (ties: smaller keys)."""
        keys, counts = self.values.result()
        order = np.lexsort((keys, -counts))
        order = order[: int(np.searchsorted(-counts[order], -min_count, side="right"))][:max_size]
        by_key = np.sort(order)  # keys are ascending already
        ids = np.empty(len(keys), np.int32)
        ids[order] = np.arange(1, len(order) + 1, dtype=np.int32)
        kept = counts[order]
        dropped = self.values.total - kept.sum()
        return Vocabulary(keys[by_key], ids[by_key], np.concatenate([[dropped], kept]).astype(np.int64))

    def finish_listed(self, keys: Iterable[int]) -> Vocabulary:
        """Keep exactly `keys`, in their order."""
        return Vocabulary.in_order(list(keys), self.values)
