"""Figures within groups are those of the rows of each group alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recsys.evaluation.arrays import check
from recsys.evaluation.grouped import Groups, Ranking, grouped_auc, grouped_mean
from recsys.evaluation.intervals import auc_interval
from recsys.evaluation.ranking import auc

ROWS, GROUPS = 400, 7


def example(*, is_soft, is_weighted):
    """Rows of six groups with ties: the third has one class only, the fourth one positive, the fifth one row."""
    rng = np.random.default_rng(1)
    code = rng.choice([0, 1, 2, 3, 5], ROWS)
    code[7] = 4
    score = rng.integers(0, 12, ROWS) / 12
    label = (rng.random(ROWS) < 0.2 + 0.6 * score).astype(float)
    label[code == 2] = 0
    label[code == 3] = np.arange(np.count_nonzero(code == 3)) == 2
    if is_soft:
        label = np.clip(label + rng.choice([0, 0.25, -0.25], ROWS), 0, 1)
    weight = rng.integers(0, 4, ROWS) / 2 if is_weighted else None
    return score, label, weight, code


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("is_soft", [False, True])
def test_auc_within_groups_is_that_of_the_rows_of_each_group(is_soft, is_weighted):
    score, label, weight, code = example(is_soft=is_soft, is_weighted=is_weighted)
    found = grouped_auc(Ranking.of(check(score, label, weight)), Groups.of(code, GROUPS))
    assert found.value.shape == (GROUPS,)
    for group in range(GROUPS):
        inside = code == group
        expected = auc(score[inside], label[inside], None if weight is None else weight[inside])
        assert_allclose(found.value[group], expected, rtol=1e-12)
        assert np.isnan(found.influence[inside]).any() or abs(found.influence[inside].sum()) < 1e-12


def test_the_squares_of_influence_values_add_up_to_the_variance_of_delong():
    score, label, _, code = example(is_soft=False, is_weighted=False)
    groups = Groups.of(code, GROUPS)
    error = np.sqrt(groups.sums(grouped_auc(Ranking.of(check(score, label)), groups).influence ** 2))
    for group in (0, 1, 2, 3, 5):
        value, low, _ = auc_interval(score[code == group], label[code == group])
        assert_allclose(error[group], (value - low) / 1.959963984540054, rtol=1e-9)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_means_within_groups_have_the_variance_of_a_mean(is_weighted):
    score, _, weight, code = example(is_soft=False, is_weighted=is_weighted)
    groups = Groups.of(code, GROUPS)
    found = grouped_mean(score, weight, groups)
    for group in (0, 1, 5):
        inside = code == group
        w = np.ones(inside.sum()) if weight is None else weight[inside]
        assert_allclose(found.value[group], np.average(score[inside], weights=w), rtol=1e-12)
        if weight is None:
            variance = score[inside].var(ddof=1) / inside.sum()
            assert_allclose(np.sum(found.influence[inside] ** 2), variance, rtol=1e-12)
    assert np.isnan(found.value[6])


def test_groups_without_rows_and_no_rows_at_all_have_no_figures():
    found = grouped_auc(Ranking.of(check([], [])), Groups.of([], 2))
    assert np.isnan(found.value).all()
    assert len(found.influence) == 0


def test_too_many_groups_are_refused():
    with pytest.raises(ValueError, match=r"at most 65,536 are possible, got 70,000"):
        Groups.of([0], 70_000)
