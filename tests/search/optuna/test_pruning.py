import pytest

from recsys.search.optuna.pruning import Curve, is_behind

OTHERS = [Curve(10, {1: 0.70, 2: 0.74}), Curve(20, {1: 0.72, 2: 0.71}), Curve(30, {1: 0.74, 2: 0.75, 3: 0.76})]


@pytest.mark.parametrize(
    ("serving_bytes", "aucs", "expected"),
    [
        (30, {1: 0.63}, True),  # 1.32 times as far from 1 as the median, 0.72
        (30, {1: 0.64}, False),
        (29, {1: 0.5}, False),  # too few are no larger
        (30, {1: 0.9, 2: 0.1}, False),  # the best epoch counts
        (30, {1: 0.6, 2: 0.66}, True),  # the best of the second until then is 0.72, the median 0.74
        (99, {}, False),
    ],
)
def test_a_trial_is_behind_where_half_of_those_no_larger_were_better_by_then(
    serving_bytes: int, aucs: dict[int, float], expected: bool
) -> None:
    assert is_behind(Curve(serving_bytes, aucs), OTHERS) is expected


def test_wide_rows_that_learn_slowly_and_end_higher_are_not_stopped() -> None:
    narrow, wide = [0.9436, 0.9625, 0.9722, 0.9774, 0.9803], [0.936, 0.9558, 0.9669, 0.9726, 0.9788]  # Frappe
    others = [Curve(10, dict(enumerate(narrow, 1)))] * 3
    for epoch in range(1, 6):
        assert not is_behind(Curve(40, dict(enumerate(wide[:epoch], 1))), others)


def test_a_trial_that_ended_early_has_what_it_reached() -> None:
    assert Curve(1, {1: 0.6, 2: 0.7, 3: 0.65}).best_until(9) == 0.7
