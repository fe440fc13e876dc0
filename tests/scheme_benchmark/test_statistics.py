from math import inf, isnan, nan, sqrt

import pytest
from scipy import stats

from recsys.scheme_benchmark.statistics import Estimate, RankedScheme, estimate, recommend, t_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 25, 90, 1000, 1e9])
def test_t_quantiles_are_those_of_scipy(freedom: float) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.005)
    assert t_quantile(inf) == pytest.approx(stats.norm.ppf(0.975))


def test_seeds_alone_give_students_interval() -> None:
    found = estimate([0.70, 0.71, 0.72], None)
    assert found.value == pytest.approx(0.71)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, 2) * 0.01 / sqrt(3), rel=1e-3)


def test_rows_alone_give_the_normal_interval_and_more_seeds_do_not_shrink_it() -> None:
    assert estimate([0.7], [0.01**2]).half_width == pytest.approx(1.96 * 0.01, rel=1e-4)
    assert estimate([0.7] * 9, [0.01**2] * 9).half_width == pytest.approx(1.96 * 0.01, rel=1e-4)


def test_both_are_added_and_the_larger_one_decides_the_degrees_of_freedom() -> None:
    rows = estimate([0.700, 0.701, 0.702], [0.01**2] * 3)
    assert rows.half_width == pytest.approx(1.96 * sqrt(0.01**2 + 0.001**2 / 3), rel=1e-3)
    seeds = estimate([0.70, 0.71, 0.72], [0.0001**2] * 3)
    assert seeds.half_width == pytest.approx(4.303 * 0.01 / sqrt(3), rel=1e-2)


def test_one_seed_without_anything_else_has_no_interval_and_settles_nothing() -> None:
    found = estimate([0.7], None)
    assert isnan(found.half_width)
    assert not found.is_significant


@pytest.mark.parametrize(
    ("value", "half", "is_significant"), [(0.01, 0.02, False), (-0.01, 0.02, False), (0.03, 0.02, True)]
)
def test_a_difference_is_significant_if_its_interval_excludes_zero(
    value: float, half: float, is_significant: bool
) -> None:
    assert Estimate(value, half).is_significant is is_significant


def candidate(name: str, auc: float, stages: int = 1, rate: float = 1000, ms: float = 1) -> RankedScheme:
    return RankedScheme(name, auc, stages, rate, ms)


def chosen(candidates: list[RankedScheme], half: float) -> tuple[str, list[str]]:
    aucs = {one.name: one.auc for one in candidates}
    found = recommend(candidates, lambda first, second: Estimate(aucs[first] - aucs[second], half))
    return found.choice.name, [one.name for one in found.contenders]


def test_a_significant_lead_decides_whatever_it_costs() -> None:
    assert chosen([candidate("a", 0.70), candidate("b", 0.75, 2, 10, 99)], 0.01) == ("b", ["b"])


def test_among_leads_that_are_not_significant_the_fewest_stages_decide_first() -> None:
    both = [candidate("slow", 0.70, 1, 10, 99), candidate("two_stages", 0.705, 2), candidate("bad", 0.6, 1, 9999, 0)]
    assert chosen(both, 0.01) == ("slow", ["two_stages", "slow"])


def test_then_the_rate_of_training_unless_it_is_about_the_same() -> None:
    assert chosen([candidate("best", 0.705, rate=800, ms=1), candidate("fast", 0.70, ms=9)], 0.01)[0] == "fast"
    assert chosen([candidate("best", 0.705, rate=950, ms=1), candidate("fast", 0.70, ms=9)], 0.01)[0] == "best"


def test_one_candidate_has_no_lead() -> None:
    found = recommend([candidate("only", 0.7)], lambda first, second: Estimate(nan, nan))
    assert (found.choice.name, found.lead) == ("only", None)
