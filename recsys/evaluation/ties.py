"""Rows sorted by score, with equal scores as one entry: all that a ranking metric needs to know.

Dimension key: B rows, R distinct (group, score) pairs, G groups.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats, Labelled

__all__ = ["SortedRuns", "Ties", "first_rows", "group_codes", "shared_orders", "sorted_runs", "tie_runs"]

_MAX_GROUPS = 2**31  # so that a group, a float32 score and a label fit into 64 bits


class Ties(NamedTuple):
    """Positives and negatives of each distinct score, ordered by group and then by rising score.

    With 0/1 labels, no weights, and scores that float32 holds exactly, the masses are int64 counts, so that sums of
    them are exact; else float64.
    """

    score: Floats
    """(R,)"""
    positive: npt.NDArray[Any]
    """(R,) mass of positives with this score in this group."""
    negative: npt.NDArray[Any]
    """(R,) mass of negatives."""
    first: npt.NDArray[np.intp]
    """(G,) index of the first entry of each group."""


class SortedRuns(NamedTuple):
    """The order of rows by rising score, and where equal scores begin in it."""

    order: npt.NDArray[np.intp]
    """(B,) row numbers."""
    start: npt.NDArray[np.intp]
    """(R,) place in `order` of the first row of each distinct score."""

    def sums(self, mass_B: Floats) -> Floats:
        """Return the mass of each distinct score, (R,)."""
        found: Floats = np.add.reduceat(mass_B[self.order], self.start)
        return found

    def spread(self, values_R: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return for each row the value of its score, (B,) in the order of scores."""
        return np.repeat(values_R, np.diff(self.start, append=len(self.order)))

    def at_rows(self, values_R: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return for each row the value of its score, (B,) in the order of rows."""
        found = np.empty(len(self.order), values_R.dtype)
        found[self.order] = self.spread(values_R)
        return found


def sorted_runs(score: Floats) -> SortedRuns:
    """Sort at least one row by score."""
    order = _order(score, None)
    ordered = score[order]
    return SortedRuns(order, _starts(ordered[1:] != ordered[:-1]))


def first_rows(code: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return the first row of each group, (G,), by rising code: the order of groups in `Ties`."""
    return _once(_first_rows, code)


def _first_rows(code: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    return np.unique(code, return_index=True)[1]


def tie_runs(rows: Labelled, code: npt.NDArray[np.int64] | None = None) -> Ties:
    """Sort the rows by group and score, and add up what is tied.

    Args:
        rows: at least one row.
        code: (B,) group of each row, between 0 and 2**31 - 1; None when all rows are one group.

    Takes O(B log B). Scores that float32 holds exactly are sorted as integers that carry group and label in
    spare bits, which numpy does three times faster than an argsort.
    """
    narrow = _as_float32(rows.score)
    if narrow is not None and rows.is_hard and rows.weight is None:
        return _packed_counts(narrow, rows.label, code)
    order = _order(rows.score, code)
    score = rows.score[order]
    is_new = score[1:] != score[:-1]
    start_of_group = np.zeros(1, dtype=np.intp)
    if code is not None:
        changed = np.diff(code[order]) != 0
        is_new |= changed
        start_of_group = _starts(changed)
    start = _starts(is_new)
    positive, negative = (np.add.reduceat(mass[order], start) for mass in rows.masses())
    return Ties(score[start], positive, negative, np.searchsorted(start, start_of_group))


def group_codes(group: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return (B,) integers between 0 and 2**31 - 1, equal where the groups are equal."""
    return _once(_group_codes, np.asarray(group))


def _group_codes(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if np.issubdtype(values.dtype, np.integer) and len(values):
        signed = values.astype(np.int64, copy=False)  # uint64 wraps, and stays distinct
        low = int(signed.min())
        if int(signed.max()) - low < _MAX_GROUPS:
            return signed - low
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _packed_counts(score: npt.NDArray[np.float32], label: npt.NDArray[Any], code: npt.NDArray[np.int64] | None) -> Ties:
    """Sort keys of 31 bits group, 32 bits score, 1 bit label."""
    key = (_ordered_bits(score) << 1) | label
    if code is not None:
        key |= code.astype(np.uint64) << 33
    key.sort()
    run = key >> 1
    last = np.append(np.flatnonzero(run[1:] != run[:-1]), len(key) - 1)
    positive = np.diff(np.cumsum(key & 1, dtype=np.int64)[last], prepend=0)
    negative = np.diff(last, prepend=-1) - positive
    run = run[last]
    return Ties(_from_ordered_bits(run), positive, negative, _starts(np.diff(run >> 32) != 0))


@contextmanager
def shared_orders(arrays: Sequence[npt.ArrayLike | None]) -> Iterator[None]:
    """Sort these arrays, scores and groups, once for all metrics that are computed within.

    They must not change meanwhile.
    """
    token = _SHARED.set(_Shared({id(array): array for array in arrays if isinstance(array, np.ndarray)}, {}))
    try:
        yield
    finally:
        _SHARED.reset(token)


class _Shared(NamedTuple):
    """What is known of arrays that do not change, by their identities."""

    arrays: dict[int, npt.NDArray[Any]]
    """The arrays, and those that were made of them; kept, so that no other array gets their identity."""
    found: dict[tuple[object, ...], npt.NDArray[Any]]


_SHARED: ContextVar[_Shared] = ContextVar("shared")


def _once(make: Callable[..., npt.NDArray[Any]], *arrays: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what a function makes of arrays; made once, if all of them are shared."""
    shared = _SHARED.get(None)
    if shared is None or any(id(array) not in shared.arrays for array in arrays):
        return make(*arrays)
    key = (make, *map(id, arrays))
    if key not in shared.found:
        made = make(*arrays)
        shared.found[key] = shared.arrays[id(made)] = made
    return shared.found[key]


def _order(score: Floats, code: npt.NDArray[np.int64] | None) -> npt.NDArray[np.intp]:
    """Return (B,) row numbers in order of group and score; seven times faster than np.lexsort."""
    return _once(np.argsort, score) if code is None else _once(_order_in_groups, score, code)


def _order_in_groups(score: Floats, code: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    order = _once(np.argsort, score)
    key = (code[order].astype(np.uint64) << 33) | np.arange(len(order), dtype=np.uint64)
    key.sort()  # by group, and within it by place in the order of scores
    by_group: npt.NDArray[np.intp] = order[(key & 0x1FFFFFFFF).astype(np.intp)]
    return by_group


def _as_float32(score: Floats) -> npt.NDArray[np.float32] | None:
    """Return the scores as float32, or None if that would change one."""
    if score.dtype == np.float32:
        return score.astype(np.float32, copy=False)
    with np.errstate(over="ignore"):
        narrow = score.astype(np.float32)
    return narrow if np.array_equal(narrow, score) else None


def _ordered_bits(score: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Return integers below 2**32 in the order of the scores: sign bit flipped, or all bits if it is negative."""
    bits = (score + np.float32(0)).view(np.uint32)  # adding 0 turns -0.0, which equals 0.0, into 0.0
    flip = (bits >> 31) * np.uint32(0x7FFFFFFF) + np.uint32(0x80000000)
    return (bits ^ flip).astype(np.uint64)


def _from_ordered_bits(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    ordered = (bits & 0xFFFFFFFF).astype(np.uint32)
    flip = (1 - (ordered >> 31)) * np.uint32(0x7FFFFFFF) + np.uint32(0x80000000)
    return (ordered ^ flip).view(np.float32)


def _starts(changed: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return where runs start, given whether each entry but the first differs from the one before."""
    return np.concatenate([np.zeros(1, dtype=np.intp), np.flatnonzero(changed) + 1])
