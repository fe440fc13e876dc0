"""The knapsack over bytes, against dynamic programming over all allocations."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.search.knapsack import Option, UnreachableBytesError, allocate, front

LOSSES = st.integers(0, 40).map(lambda tenths: tenths / 10)
ITEMS = st.lists(
    st.lists(st.builds(Option, st.integers(0, 12), LOSSES), min_size=1, max_size=4), min_size=1, max_size=4
)


def least_loss(items: Sequence[Sequence[Option]], allowed: int) -> float | None:
    """Return the least loss within the bytes, by dynamic programming; None if nothing is within them."""
    states = {0: 0.0}
    for options in items:
        grown: dict[int, float] = {}
        for size, loss in states.items():
            for option in options:
                if size + option.bytes <= allowed:
                    key = size + option.bytes
                    grown[key] = min(grown.get(key, float("inf")), loss + option.loss)
        states = grown
    return min(states.values(), default=None)


@given(ITEMS)
def test_each_point_of_the_front_is_the_best_for_its_bytes(items: list[list[Option]]) -> None:
    found = front(items)
    for point in found:
        assert point.loss == pytest.approx(least_loss(items, point.bytes))
        chosen = [options[choice] for options, choice in zip(items, point.choices, strict=True)]
        assert point.bytes == sum(option.bytes for option in chosen)
    assert all(one.bytes < more.bytes and one.loss > more.loss for one, more in pairwise(found))
    assert found[-1].loss == pytest.approx(sum(min(option.loss for option in options) for options in items))


@given(ITEMS, st.integers(0, 40))
def test_an_allocation_keeps_to_its_bytes_and_loses_one_step_at_most_to_the_best(
    items: list[list[Option]], allowed: int
) -> None:
    best = least_loss(items, allowed)
    if best is None:
        with pytest.raises(UnreachableBytesError, match="the smallest options take"):
            allocate(items, allowed)
        return
    found = allocate(items, allowed)
    assert found.bytes <= allowed
    largest_step = max(max(o.loss for o in options) - min(o.loss for o in options) for options in items)
    assert best - 1e-9 <= found.loss <= best + largest_step + 1e-9
    assert found.loss <= min(point.loss for point in front(items) if point.bytes <= allowed) + 1e-9


def test_bytes_that_the_best_steps_leave_go_to_steps_that_fit() -> None:
    items = [[Option(0, 9.0), Option(10, 0.0)], [Option(0, 1.0), Option(3, 0.5)], [Option(0, 1.0), Option(4, 0.0)]]
    assert allocate(items, 9).choices == (0, 1, 1)
    assert allocate(items, 14).choices == (1, 0, 1)
    assert [point.choices for point in front(items)] == [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1)]


def test_the_smallest_options_are_the_floor() -> None:
    with pytest.raises(UnreachableBytesError, match="the smallest options take 9 bytes, 8 are allowed") as error:
        allocate([[Option(4, 1.0), Option(8, 0.0)], [Option(5, 1.0)]], 8)
    assert error.value.floor == 9
