from math import inf

import pytest
from scipy import stats

from recsys.evaluation.student import t_p_value, t_quantile

FREEDOMS = [0.7, 1, 1.5, 2, 3, 9, 25, 90, 1000, 1e6]


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_quantiles_and_p_values_are_those_of_scipy(freedom: float) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)
    assert t_quantile(freedom, 0.01) == pytest.approx(stats.t.ppf(0.995, freedom), rel=1e-9)
    for t in (0.0, 1e-3, 1.0, -2.0, 30.0):
        assert t_p_value(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-8)


@pytest.mark.parametrize("freedom", [1e9, 1e300, inf])
def test_many_degrees_of_freedom_are_the_normal_distribution(freedom: float) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.norm.ppf(0.975), rel=1e-12)
    assert t_p_value(2.5, freedom) == pytest.approx(2 * stats.norm.sf(2.5), rel=1e-12)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_a_value_at_the_quantile_has_its_p_value(freedom: float) -> None:
    assert t_p_value(t_quantile(freedom), freedom) == pytest.approx(0.05, rel=1e-9)
