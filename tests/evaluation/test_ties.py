import numpy as np

from recsys.evaluation.arrays import check
from recsys.evaluation.ties import first_rows, group_codes, shared_orders, sorted_runs, tie_runs


def test_equal_scores_of_one_group_are_one_entry():
    rows = check(np.float32([0.5, -1.0, 0.5, 0.5, -0.0]), [1, 0, 0, 1, 1])
    ties = tie_runs(rows, np.array([0, 1, 0, 1, 1]))
    assert ties.score.tolist() == [0.5, -1.0, 0.0, 0.5]
    assert ties.positive.tolist() == [1, 0, 1, 1]
    assert ties.negative.tolist() == [1, 1, 0, 0]
    assert ties.first.tolist() == [0, 1]


def test_every_way_of_sorting_finds_the_same_entries():
    rng = np.random.default_rng(0)
    score = np.concatenate([rng.normal(size=50).astype(np.float32), np.float32([0, 3e38, -3e38, 1e-45])])
    score = rng.choice(score, 2000)
    label, code = rng.random(2000) < 0.4, rng.integers(0, 7, 2000)
    ones = np.ones(2000)
    packed = tie_runs(check(score, label), code)
    for other in (
        tie_runs(check(score, label, ones), code),  # weighted: row numbers are sorted
        tie_runs(check(score, label, ones), code + 2**31 - 7),  # the highest codes there can be
        tie_runs(check(score, label), code + 2**31 - 7),
        tie_runs(check(score.astype(float), label), code),  # float64 that float32 holds
    ):
        for left, right in zip(packed, other, strict=True):
            np.testing.assert_array_equal(left, right)


def test_arrays_are_sorted_once_where_they_are_shared_and_figures_stay_the_same():
    rng = np.random.default_rng(1)
    score, label, group = rng.random(200), rng.random(200) < 0.4, rng.integers(-(2**63), 2**63 - 1, 9)
    group = group[rng.integers(0, 9, 200)]
    alone = [tie_runs(check(score, label), group_codes(group)), first_rows(group_codes(group))]
    with shared_orders([score, group, None]):
        codes = group_codes(group)
        assert group_codes(group) is codes
        assert group_codes(group.copy()) is not codes
        assert first_rows(codes) is first_rows(codes)
        assert sorted_runs(score).order is sorted_runs(score).order
        for one, other in zip(alone[0], tie_runs(check(score, label), codes), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(alone[1], first_rows(codes))
    assert group_codes(group) is not codes
