"""Labels beside the points of a chart: near to what they name, off the points, and no two on each other."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Box", "place_labels"]

_NEAR, _FAR = 7.0, 24.0
"""Distance of a label from its point at one height with it, and above or below it, where a line leads to it."""
_MARKER = 5.0
"""Half the width of a point."""
_LEFT = 3.0
"""How much higher or lower a label at the right may stand before one at the left is preferred."""


class Box(NamedTuple):
    """A rectangle on the picture."""

    left: float
    bottom: float
    right: float
    top: float


def place_labels(points_P2: npt.NDArray[np.float64], sizes_L2: Sequence[tuple[float, float]], bounds: Box) -> list[Box]:
    """Return where labels stand: for each the nearest free place at the right or left of its point.

    Args:
        points_P2: (P, 2) all points, in pixels; the first L have labels. Those that come first stand nearest.
        sizes_L2: width and height of each label.
        bounds: where labels may be; a label for which there is no free place stands where it covers least.
    """
    taken = [Box(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER) for x, y in points_P2.tolist()]
    placed: list[Box] = []
    for (x, y), (width, height) in zip(points_P2.tolist(), sizes_L2, strict=False):
        places = list(_places(x, y, width, height, bounds))
        covered = _covered(np.array(places), np.array(taken))
        best = places[int(np.argmin(covered))]  # the first, and so the nearest, of equal ones
        placed.append(best)
        taken.append(best)
    return placed


def _places(x: float, y: float, width: float, height: float, bounds: Box) -> Iterator[Box]:
    """Yield the places of a label, the nearest first."""
    moves = [(abs(step) + _LEFT * is_left, step, is_left) for step in _steps(height, bounds) for is_left in (0, 1)]
    for _, step, is_left in sorted(moves):
        gap = _FAR if step else _NEAR
        left = x - gap - width if is_left else x + gap
        box = Box(left, y + step - height / 2, left + width, y + step + height / 2)
        if _is_inside(box, bounds):
            yield box
    yield Box(x + _NEAR, y - height / 2, x + _NEAR + width, y + height / 2)


def _is_inside(box: Box, bounds: Box) -> bool:
    is_between = bounds.left <= box.left and box.right <= bounds.right
    return is_between and bounds.bottom <= box.bottom and box.top <= bounds.top


def _steps(height: float, bounds: Box) -> list[float]:
    number = int((bounds.top - bounds.bottom) / height * 2)
    return [step * height / 2 for step in range(-number, number + 1)]


def _covered(places_N4: npt.NDArray[np.float64], taken_T4: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (N,) the area of each place that is taken."""
    low = np.maximum(places_N4[:, None, :2], taken_T4[None, :, :2])
    high = np.minimum(places_N4[:, None, 2:], taken_T4[None, :, 2:])
    area_NT: npt.NDArray[np.float64] = np.prod(np.clip(high - low, 0.0, None), axis=2)
    area_N: npt.NDArray[np.float64] = area_NT.sum(axis=1)
    return area_N
