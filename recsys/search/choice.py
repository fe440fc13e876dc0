"""The choice of the best candidate, within a budget or without one."""

from collections.abc import Sequence
from math import isnan, log

from recsys.evaluation.paired import verdict_on_files
from recsys.search.candidate import Measured
from recsys.search.folder import SearchFolder
from recsys.search.front import best_within, smallest_good

__all__ = ["choose", "choose_trained", "is_significantly_worse", "nearest"]

LEAST_DIFFERENCE = 0.001
"""Difference of AUCs that counts where there is no interval."""


def choose(folder: SearchFolder, points: Sequence[Measured], allowed: int | None) -> Measured:
    """Return the point with the best AUC within a budget; without one, the smallest that is not significantly worse.

    Args:
        folder: folder of the search, which holds predictions.
        points: measured alike, at least one.
        allowed: the budget in bytes.

    Raises:
        ConfigError: none is so small.
    """
    if allowed is not None:
        return best_within(points, allowed)
    return smallest_good(points, lambda one, best: is_significantly_worse(folder, one, best))


def choose_trained(folder: SearchFolder, trained: Sequence[Measured], allowed: int | None) -> Measured:
    """Return the best of the points that were trained, of which the first was chosen before."""
    small = [one for one in trained if allowed is None or one.serving_bytes <= allowed]
    return choose(folder, small, allowed) if small else trained[0]


def nearest(front: Sequence[Measured], chosen: Measured, number: int) -> list[Measured]:
    """Return the other points of a front that are nearest to one in bytes: half or twice as large is equally near."""
    others = [one for one in front if one.name != chosen.name]
    others.sort(key=lambda one: abs(log(max(one.serving_bytes, 1) / max(chosen.serving_bytes, 1))))
    return others[:number]


def is_significantly_worse(folder: SearchFolder, one: Measured, best: Measured) -> bool:
    """Return whether a candidate's validation AUC is below that of the best one by more than chance.

    Where there are no predictions, or too few rows of a class, a difference of `LEAST_DIFFERENCE` counts.
    """
    own, others = (folder.predictions(measured.name, measured.source) for measured in (one, best))
    found = verdict_on_files(own, others) if own.exists() and others.exists() else None
    if found is None or isnan(found.p_value):
        return one.auc < best.auc - LEAST_DIFFERENCE
    return found.word == "worse"
