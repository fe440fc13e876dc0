from typing import NamedTuple

import pytest

from recsys.errors import ConfigError
from recsys.search.front import best_within, pareto_front, smallest_good


class P(NamedTuple):
    serving_bytes: int
    auc: float


SMALL, MIDDLE, LARGE = P(100, 0.70), P(200, 0.75), P(400, 0.76)
FRONT = [SMALL, MIDDLE, LARGE]


@pytest.mark.parametrize(
    ("beaten", "why"),
    [
        (P(300, 0.74), "smaller and better ones exist"),
        (P(300, 0.75), "a smaller one is as good"),
        (P(200, 0.74), "one of its size is better"),
        (P(400, 0.76), "an equal one came first"),
        (P(100, float("nan")), "it has no AUC"),
    ],
)
def test_a_point_that_another_beats_is_not_on_the_front(beaten: P, why: str) -> None:
    assert pareto_front([LARGE, SMALL, MIDDLE, beaten]) == FRONT, why


def test_a_front_of_nothing_is_empty() -> None:
    assert pareto_front([]) == []


@pytest.mark.parametrize(("budget", "best"), [(100, SMALL), (399, MIDDLE), (400, LARGE), (10_000, LARGE)])
def test_the_best_within_a_budget_has_the_highest_auc(budget: int, best: P) -> None:
    assert best_within(FRONT, budget) == best


def test_a_larger_point_that_is_worse_is_never_the_best_within_a_budget() -> None:
    assert best_within([*FRONT, P(250, 0.71)], 300) == MIDDLE


def test_a_budget_below_all_points_names_the_least() -> None:
    with pytest.raises(ConfigError, match=r"--budget: nothing that was found is as small as 99 B; the least is 100 B"):
        best_within(FRONT, 99)


def test_without_a_budget_the_smallest_that_is_not_significantly_worse_is_best() -> None:
    assert smallest_good(FRONT, lambda point, best: best.auc - point.auc > 0.02) == MIDDLE
    assert smallest_good(FRONT, lambda point, best: True) == LARGE
    assert smallest_good(FRONT, lambda point, best: False) == SMALL
