from math import inf, isnan, nan, sqrt

import numpy as np
import pytest
from scipy import stats

from recsys.evaluation.seeds import Estimate, estimate, estimate_difference, spread


def test_seeds_alone_give_students_interval() -> None:
    found = estimate([0.70, 0.71, 0.72], rows=None)
    assert found.value == pytest.approx(0.71)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, 2) * 0.01 / sqrt(3))
    assert found.p_value == pytest.approx(stats.ttest_1samp([0.70, 0.71, 0.72], 0).pvalue)


def test_rows_alone_give_the_normal_interval_and_more_seeds_do_not_shrink_it() -> None:
    assert estimate([0.7], rows=0.01**2).half_width == pytest.approx(1.96 * 0.01, rel=1e-4)
    assert estimate([0.7] * 9, rows=0.01**2).half_width == pytest.approx(1.96 * 0.01, rel=1e-4)


def test_both_are_added_and_the_larger_one_decides_the_degrees_of_freedom() -> None:
    rows = estimate([0.700, 0.701, 0.702], rows=0.01**2)
    assert rows.half_width == pytest.approx(1.96 * sqrt(0.01**2 + 0.001**2 / 3), rel=1e-3)
    seeds = estimate([0.70, 0.71, 0.72], rows=0.0001**2)
    assert seeds.half_width == pytest.approx(4.303 * 0.01 / sqrt(3), rel=1e-2)


def test_what_rows_and_seeds_do_together_counts_once() -> None:
    values = [0.70, 0.71, 0.72]
    apart = estimate(values, rows=0.003**2, shared=0.001**2)
    assert apart.variance == pytest.approx(0.001**2 + 0.01**2 / 3)
    assert estimate([0.7, 0.7], rows=0.003**2, shared=0.001**2).variance == pytest.approx(0.003**2)


def test_models_whose_seeds_have_nothing_in_common_are_compared_as_by_welch() -> None:
    first, second = [0.70, 0.71, 0.73, 0.70], [0.69, 0.70]
    found = estimate_difference(first, second, rows=None)
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert found.value == pytest.approx(np.mean(first) - np.mean(second))
    assert (found.freedom, found.p_value) == (pytest.approx(welch.df), pytest.approx(welch.pvalue))


def test_a_model_of_one_seed_is_taken_to_vary_as_the_other_does() -> None:
    first, second = [0.70, 0.71, 0.73, 0.70], [0.69]
    pooled = stats.ttest_ind(first, second, equal_var=True)
    for pair, sign in (((first, second), 1), ((second, first), -1)):
        found = estimate_difference(*pair, rows=None)
        assert found.value == pytest.approx(sign * (np.mean(first) - 0.69))
        assert (found.freedom, found.p_value) == (pytest.approx(pooled.df), pytest.approx(pooled.pvalue))


def test_one_seed_without_anything_else_has_no_interval_and_settles_nothing() -> None:
    found = estimate([0.7], rows=None)
    assert isnan(found.half_width)
    assert isnan(found.p_value)
    assert not found.is_significant


@pytest.mark.parametrize(("value", "is_significant"), [(0.01, False), (-0.01, False), (0.03, True), (-0.03, True)])
def test_a_value_is_significant_if_its_interval_excludes_zero_and_its_p_value_agrees(
    value: float, is_significant: bool
) -> None:
    found = Estimate(value, 0.01**2)
    assert found.is_significant is is_significant
    assert (found.p_value < 0.05) is is_significant
    assert (found.low > 0 or found.high < 0) is is_significant


def test_a_certain_value_is_either_zero_or_not() -> None:
    assert (Estimate(0.0, 0.0).p_value, Estimate(0.1, 0.0).p_value) == (1.0, 0.0)
    assert isnan(Estimate(nan, 0.0).p_value)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("parts", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1)], ids=str)
def test_two_equal_models_differ_in_five_percent_of_cases(seeds: int, parts: tuple[float, float, float]) -> None:
    """The variances are those of the rows, of rows and seeds together, and of the seeds."""
    rng = np.random.default_rng(0)
    shared, both, alone = parts
    rows = rng.normal(size=(1000, 1)) * sqrt(shared)
    found = rows + rng.normal(size=(1000, seeds)) * sqrt(both) + rng.normal(size=(1000, seeds)) * sqrt(alone)
    estimates = [estimate(list(one), rows=shared + both / seeds, shared=shared) for one in found]
    assert 0.03 <= np.mean([one.is_significant for one in estimates]) <= 0.065


def test_the_spread_of_one_seed_is_not_known() -> None:
    assert isnan(spread([0.7]).deviation)
    assert estimate([0.7] * 3, rows=None).freedom == inf
