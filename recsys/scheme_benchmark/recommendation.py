"""The recommendation of one of several schemes. A pure function."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from recsys.evaluation.seeds import Estimate
from recsys.evaluation.verdict import Verdict, holm, verdict

__all__ = ["RankedScheme", "Recommendation", "recommend"]

SIMILAR_RATE = 0.9
"""A scheme at this fraction of the fastest one's training rate counts as equally fast: repeated runs differ so much."""


class RankedScheme(NamedTuple):
    """A scheme that keeps to a budget, with the figures that the recommendation depends on: means over seeds."""

    name: str
    auc: float
    num_stages: int
    """Stages of its training."""
    rows_per_second: float
    lookup_ms: float


class Recommendation(NamedTuple):
    """The scheme that is recommended at a budget, and why."""

    choice: RankedScheme
    """The recommended scheme."""
    ranking: list[RankedScheme]
    """All schemes, the best AUC first."""
    lead: Verdict | None
    """The verdict on the best and the second; None if there is no second."""
    contenders: list[RankedScheme]
    """The best scheme, and those that cannot be told apart from it."""


def recommend(
    candidates: Sequence[RankedScheme], difference: Callable[[str, str], Estimate], *, rows: int, seeds: int
) -> Recommendation:
    """Choose among the schemes that cannot be told apart from the best one.

    The rule: the fewest stages of training; of these, those that train at `SIMILAR_RATE` of the fastest one's rate or
    more; of these, the lowest lookup time at inference. The p values are corrected for the number of schemes.

    Args:
        candidates: the schemes, at least one.
        difference: given two names, returns the AUC of the first minus that of the second.
        rows: number of rows that they were evaluated on.
        seeds: number of seeds of each.
    """
    ranking = sorted(candidates, key=lambda one: (-one.auc, one.name))
    best, *others = ranking
    leads = [difference(best.name, other.name) for other in others]
    p_values = holm([lead.p_value for lead in leads])
    verdicts = [
        verdict("auc", lead, rows=rows, seeds=seeds, p_value=p_value)
        for lead, p_value in zip(leads, p_values, strict=True)
    ]
    equal = [other for other, found in zip(others, verdicts, strict=True) if found.word == "undecided"]
    contenders = [best, *equal]
    fewest = min(one.num_stages for one in contenders)
    simple = [one for one in contenders if one.num_stages == fewest]
    fastest = max(one.rows_per_second for one in simple)
    fast = [one for one in simple if one.rows_per_second >= SIMILAR_RATE * fastest]
    choice = min(fast, key=lambda one: one.lookup_ms)
    return Recommendation(choice, ranking, verdicts[0] if verdicts else None, contenders)
