import threading
import time
from collections.abc import Iterator

import pytest

from recsys.features.parallel import in_order


def test_results_come_in_the_order_of_the_items_whatever_takes_longest() -> None:
    def slow_when_even(item: int) -> int:
        time.sleep(0.01 if item % 2 == 0 else 0)
        return item * item

    assert list(in_order(slow_when_even, range(20))) == [item * item for item in range(20)]


def test_few_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = in_order(lambda item: item, items())
    assert next(results) == 0
    assert len(taken) <= 9


def test_the_first_error_in_order_is_raised_and_no_thread_is_left() -> None:
    def fails(item: int) -> int:
        time.sleep(0.02 if item == 3 else 0)
        if item in (3, 4):
            raise ValueError(f"item {item}")
        return item

    before = threading.active_count()
    with pytest.raises(ValueError, match="item 3"):
        list(in_order(fails, range(10)))
    assert threading.active_count() == before
