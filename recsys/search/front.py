"""The candidates that no other beats in both bytes and AUC, and the choice of the best one."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from recsys.errors import ConfigError
from recsys.units import format_bytes

__all__ = ["Point", "best_within", "pareto_front", "smallest_good"]


class Point(Protocol):
    """Something that has bytes and an AUC, such as a measured candidate."""

    @property
    def serving_bytes(self) -> float:
        """Bytes of all tables as they are served."""

    @property
    def auc(self) -> float:
        """AUC on the validation split."""


P = TypeVar("P", bound=Point)


def pareto_front(points: Iterable[P]) -> list[P]:
    """Return the points for which no other is both smaller and better, the smallest first.

    Of points with equal bytes and AUC the first one stands for all. Points whose AUC is not a number are left out.
    """
    front: list[P] = []
    known = (point for point in points if point.auc == point.auc)
    for point in sorted(known, key=lambda point: (point.serving_bytes, -point.auc)):
        if not front or point.auc > front[-1].auc:
            front.append(point)
    return front


def best_within(points: Sequence[P], budget: int, *, where: str = "--budget") -> P:
    """Return the point with the highest AUC whose bytes keep to a budget; of equal ones, the smallest.

    Args:
        points: candidates, at least one.
        budget: most bytes.
        where: the option that states it, for the message.

    Raises:
        ConfigError: none is so small.
    """
    affordable = pareto_front(point for point in points if point.serving_bytes <= budget)
    if not affordable:
        least = min(point.serving_bytes for point in points)
        raise ConfigError(
            f"{where}: nothing that was found is as small as {format_bytes(budget)}; the least is {format_bytes(least)}"
        )
    return affordable[-1]


def smallest_good(points: Sequence[P], is_worse: Callable[[P, P], bool]) -> P:
    """Return the smallest point that is not significantly worse than the one with the highest AUC.

    Args:
        points: candidates, at least one.
        is_worse: given a point and the best one, returns whether the point is significantly worse.
    """
    *others, best = pareto_front(points)
    return next((point for point in others if not is_worse(point, best)), best)
