"""The recommendation of one of several schemes. A pure function."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from recsys.evaluation.seeds import Estimate

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
    lead: Estimate | None
    """AUC of the best minus that of the second; None if there is no second."""
    contenders: list[RankedScheme]
    """The best scheme, and those that are not significantly worse."""


def recommend(candidates: Sequence[RankedScheme], difference: Callable[[str, str], Estimate]) -> Recommendation:
    """Choose among the schemes that are not significantly worse than the best one.

    The rule: the fewest stages of training; of these, those that train at `SIMILAR_RATE` of the fastest one's rate or
    more; of these, the lowest lookup time at inference.

    Args:
        candidates: the schemes, at least one.
        difference: given two names, returns the AUC of the first minus that of the second.
    """
    ranking = sorted(candidates, key=lambda one: (-one.auc, one.name))
    best, *others = ranking
    lead = difference(best.name, others[0].name) if others else None
    contenders = [best, *(other for other in others if not difference(best.name, other.name).is_significant)]
    fewest = min(one.num_stages for one in contenders)
    simple = [one for one in contenders if one.num_stages == fewest]
    fastest = max(one.rows_per_second for one in simple)
    fast = [one for one in simple if one.rows_per_second >= SIMILAR_RATE * fastest]
    return Recommendation(min(fast, key=lambda one: one.lookup_ms), ranking, lead, contenders)
