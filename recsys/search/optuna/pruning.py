"""The rule by which a trial is stopped: it is behind trials that are no larger, after the same number of epochs.

Optuna prunes by one objective only, and cannot tell a trial that is behind because it is small. The rule here is that
of Golovin et al., "Google Vizier: a service for black-box optimization", 2017, section 3.2.2 (median stopping): the
best AUC so far is compared with the median of what others had reached by then.
DIFF: others are those whose tables are no larger, of which half are then smaller and better.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

__all__ = ["Curve", "is_behind"]

LEAST_OTHERS = 3
"""Number of trials with which one must be compared."""


class Curve(NamedTuple):
    """The validation AUC of a trial after each epoch, and its size."""

    serving_bytes: int
    aucs: Mapping[int, float]
    """AUC by the number of the epoch."""

    def best_until(self, epoch: int) -> float:
        """Return the best AUC until an epoch; a trial that ended before has what it reached, NaN is none."""
        return max((auc for number, auc in self.aucs.items() if number <= epoch and auc == auc), default=float("-inf"))


def is_behind(own: Curve, finished: Sequence[Curve]) -> bool:
    """Say whether a trial should be stopped after its latest epoch.

    >>> smaller = [Curve(10, {1: 0.7, 2: auc}) for auc in (0.71, 0.72, 0.73)]
    >>> is_behind(Curve(20, {1: 0.69, 2: 0.715}), smaller), is_behind(Curve(9, {1: 0.5}), smaller)
    (True, False)
    """
    epoch = max(own.aucs, default=0)
    no_larger = [other.best_until(epoch) for other in finished if other.serving_bytes <= own.serving_bytes]
    return len(no_larger) >= LEAST_OTHERS and own.best_until(epoch) < median(no_larger)
