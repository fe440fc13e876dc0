"""The knapsack over bytes: one option of each item, so that the loss is least within some bytes.

An item is a block of ids of a vocabulary, and its options are widths; the loss is a proxy that adds up over items, such
as what the validation loss rises by if that block alone is cut to the width. This is the multiple-choice knapsack
problem (Sinha and Zoltners 1979). Taking the steps of each item's lower convex hull in the order of loss saved per byte
gives allocations that are best for the bytes they take, from the smallest to the largest: the whole front at once.
DIFF: bytes between two of them are filled by the steps that fit, in the same order, which is not always the optimum.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Allocation", "Option", "UnreachableBytesError", "allocate", "front"]


class Option(NamedTuple):
    """One of the forms that an item can take."""

    bytes: int
    loss: float


@dataclass(frozen=True)
class Allocation:
    """One option of each item."""

    choices: tuple[int, ...]
    """Index of the option of each item."""
    bytes: int
    loss: float


class UnreachableBytesError(ValueError):
    """Even the smallest options of all items together are larger than the bytes allowed.

    Attributes:
        floor: what they have together.
    """

    def __init__(self, allowed: int, floor: int) -> None:
        super().__init__(f"the smallest options take {floor:,} bytes, {allowed:,} are allowed")
        self.floor = floor


class _Step(NamedTuple):
    """From one option of an item's hull to the next larger one."""

    item: int
    choice: int
    """The larger option."""
    bytes: int
    """Bytes that it takes more."""
    loss: float
    """Loss that it saves, > 0."""


def front(items: Sequence[Sequence[Option]]) -> list[Allocation]:
    """Return the allocations on the convex front, from the least bytes to the least loss.

    >>> narrow_or_wide = [Option(4, 1.0), Option(8, 0.2)]
    >>> [(one.bytes, one.choices) for one in front([narrow_or_wide, [Option(4, 1.0), Option(8, 0.9)]])]
    [(8, (0, 0)), (12, (1, 0)), (16, (1, 1))]
    """
    current = _smallest(items)
    found = [_allocation(items, current)]
    for step in _steps(items):
        current[step.item] = step.choice
        found.append(_allocation(items, current))
    return found


def allocate(items: Sequence[Sequence[Option]], allowed: int) -> Allocation:
    """Return an allocation of at most `allowed` bytes whose loss is as small as the front gives.

    Raises:
        UnreachableBytesError: even the smallest options take more.
    """
    current = _smallest(items)
    left = allowed - sum(items[i][choice].bytes for i, choice in enumerate(current))
    if left < 0:
        raise UnreachableBytesError(allowed, allowed - left)
    stuck: set[int] = set()
    for step in _steps(items):
        if step.bytes > left:
            stuck.add(step.item)  # the further steps of this item begin where this one ends
        elif step.item not in stuck:
            current[step.item] = step.choice
            left -= step.bytes
    return _allocation(items, current)


def _smallest(items: Sequence[Sequence[Option]]) -> list[int]:
    """Return the smallest option of each item; of several of these bytes, that of the least loss."""
    return [min(range(len(options)), key=lambda index: options[index]) for options in items]


def _steps(items: Sequence[Sequence[Option]]) -> list[_Step]:
    """Return the steps of all hulls, those first that save most loss per byte; those of an item in their order."""
    steps = [step for item, options in enumerate(items) for step in _hull_steps(item, options)]
    return sorted(steps, key=lambda step: (-step.loss / step.bytes, step.item, step.choice))


def _hull_steps(item: int, options: Sequence[Option]) -> Iterator[_Step]:
    """Yield the steps along the lower convex hull of an item's options, along which each byte saves less and less."""
    hull: list[int] = []
    for index in sorted(range(len(options)), key=lambda index: options[index]):
        if hull and options[index].loss >= options[hull[-1]].loss:
            continue  # more bytes for no less loss
        while len(hull) >= 2 and _saved(options, hull[-1], index) >= _saved(options, hull[-2], hull[-1]):
            hull.pop()
        hull.append(index)
    for smaller, larger in pairwise(hull):
        more = options[larger].bytes - options[smaller].bytes
        yield _Step(item, larger, more, options[smaller].loss - options[larger].loss)


def _saved(options: Sequence[Option], smaller: int, larger: int) -> float:
    """Return the loss saved per byte from one option to another."""
    return (options[smaller].loss - options[larger].loss) / (options[larger].bytes - options[smaller].bytes)


def _allocation(items: Sequence[Sequence[Option]], choices: Sequence[int]) -> Allocation:
    chosen = [options[choice] for options, choice in zip(items, choices, strict=True)]
    return Allocation(tuple(choices), sum(one.bytes for one in chosen), sum(one.loss for one in chosen))
