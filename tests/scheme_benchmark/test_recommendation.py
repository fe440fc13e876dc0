from math import nan

from recsys.evaluation.seeds import Estimate
from recsys.scheme_benchmark.recommendation import RankedScheme, recommend


def candidate(name: str, auc: float, stages: int = 1, rate: float = 1000, ms: float = 1) -> RankedScheme:
    return RankedScheme(name, auc, stages, rate, ms)


def chosen(candidates: list[RankedScheme], error: float) -> tuple[str, list[str]]:
    aucs = {one.name: one.auc for one in candidates}
    found = recommend(
        candidates, lambda first, second: Estimate(aucs[first] - aucs[second], error**2), rows=100, seeds=1
    )
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
    found = recommend([candidate("only", 0.7)], lambda first, second: Estimate(nan, nan), rows=100, seeds=1)
    assert (found.choice.name, found.lead) == ("only", None)


def test_the_more_schemes_there_are_the_surer_a_difference_must_be() -> None:
    """The third is worse than the best by 2.1 standard errors, which is chance among five others."""
    third = candidate("third", 0.679)
    assert chosen([candidate("best", 0.7), third], 0.01)[1] == ["best"]
    others = [candidate(f"bad_{place}", 0.6) for place in range(4)]
    assert chosen([candidate("best", 0.7), third, *others], 0.01)[1] == ["best"]
    close = [candidate(f"close_{place}", 0.6791) for place in range(4)]
    assert len(chosen([candidate("best", 0.7), third, *close], 0.01)[1]) == 6
