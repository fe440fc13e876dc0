"""Curves of millions of points, thinned to what a picture can show.

Papers: Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", 2014: of the points that fall into
one column of pixels, the first, the lowest, the highest and the last draw the same line as all of them. Douglas and
Peucker, "Algorithms for the Reduction of the Number of Points Required to Represent a Digitized Line", 1973: of the
rest, those that the line would pass anyway are left out.
"""

import numpy as np
import numpy.typing as npt

from recsys.evaluation.arrays import Floats

__all__ = ["thin"]

_COLUMNS = 2048
_TOLERANCE = 5e-4
"""Share of the picture's height that the line may move: a fifth of a pixel."""
_MOST_POINTS = 400


def thin(x: Floats, y: Floats) -> npt.NDArray[np.intp]:
    """Return the positions of at most 400 points whose line looks as that of all of them; first and last stay.

    Args:
        x: (P,) not falling.
        y: (P,)
    """
    if len(x) < 3:
        return np.arange(len(x))
    kept = _of_columns(x, y) if len(x) > 4 * _COLUMNS else np.arange(len(x))
    unit_P2 = np.column_stack([_unit(x[kept]), _unit(y[kept])])
    tolerance = _TOLERANCE
    while len(found := _line(unit_P2, tolerance)) > _MOST_POINTS:
        tolerance *= 1.5
    return kept[found]


def _of_columns(x: Floats, y: Floats) -> npt.NDArray[np.intp]:
    """Return the first, lowest, highest and last point of each column of a picture."""
    column = np.minimum((_unit(x) * _COLUMNS).astype(np.intp), _COLUMNS - 1)
    start = np.flatnonzero(np.diff(column, prepend=-1))
    end = np.append(start[1:], len(x))
    extremes = [
        low + found
        for low, high in zip(start, end, strict=True)
        for found in (y[low:high].argmin(), y[low:high].argmax())
    ]
    return np.unique(np.concatenate([start, end - 1, extremes])).astype(np.intp)


def _line(point_P2: npt.NDArray[np.float64], tolerance: float) -> npt.NDArray[np.intp]:
    """Return the points whose line keeps within a tolerance of all others."""
    is_kept = np.zeros(len(point_P2), dtype=bool)
    is_kept[[0, -1]] = True
    open_spans = [(0, len(point_P2) - 1)]
    while open_spans:
        first, last = open_spans.pop()
        if last - first < 2:
            continue
        distance = _distance(point_P2[first + 1 : last], point_P2[first], point_P2[last])
        farthest = first + 1 + int(distance.argmax())
        if distance[farthest - first - 1] > tolerance:
            is_kept[farthest] = True
            open_spans += [(first, farthest), (farthest, last)]
    return np.flatnonzero(is_kept)


def _distance(
    point_P2: npt.NDArray[np.float64], start_2: npt.NDArray[np.float64], end_2: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return (P,) the distance of each point to a segment."""
    along_2 = end_2 - start_2
    length = float(along_2 @ along_2)
    share_P = np.clip((point_P2 - start_2) @ along_2 / length, 0.0, 1.0) if length > 0 else np.zeros(len(point_P2))
    distance: npt.NDArray[np.float64] = np.linalg.norm(point_P2 - start_2 - share_P[:, None] * along_2, axis=1)
    return distance


def _unit(values: Floats) -> npt.NDArray[np.float64]:
    """Return values moved to 0 to 1."""
    low, high = float(values.min()), float(values.max())
    return (values.astype(np.float64) - low) / ((high - low) or 1.0)
