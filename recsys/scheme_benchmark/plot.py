"""pareto.png: the AUC of every scheme against its bytes."""

from itertools import chain
from pathlib import Path

from recsys.judging.pareto import Point, Series, draw_pareto
from recsys.scheme_benchmark.comparison import Comparison, SchemeSummary
from recsys.search.front import pareto_front

__all__ = ["draw", "points_by_scheme"]


def draw(comparison: Comparison, path: Path) -> None:
    """Draw every trained scheme, a line through its budgets, with 95 % intervals of the differences to full as bars.

    The sampling error of the test rows, which all schemes share, is not in the bars: a bar that does not reach
    the line of the full table is a significant difference.
    """
    full = comparison.full()
    reference = None if full is None else Series([Point("full", full.serving_bytes, full.auc.value)], "full table")
    series = [Series(points) for points in points_by_scheme(comparison, full)]
    bars = "AUC, seeds included" if full is None else "difference to full"
    draw_pareto(
        path,
        series,
        front=pareto_front(chain.from_iterable(one.points for one in (*series, reference) if one is not None)),
        reference=reference,
        budgets={entry.allowed for entry in comparison.grid.entries if entry.allowed and entry.spec},
        x_label="bytes of the embeddings as they are served",
        y_label=f"{comparison.split} AUC, mean over seeds (bars: 95 % of the {bars})",
    )


def points_by_scheme(comparison: Comparison, full: SchemeSummary | None) -> list[list[Point]]:
    """Return the sizes of each scheme but full, the largest first; budgets that lead to one training are one size."""
    found: dict[str, dict[str, Point]] = {}
    for entry in comparison.grid.entries:
        summary = None if entry.budget is None else comparison.summarize(entry)
        if summary is not None:
            point = Point(entry.variant, summary.serving_bytes, summary.auc.value, _bar(comparison, summary, full))
            found.setdefault(entry.variant, {})[summary.results[0].cell] = point
    return [sorted(points.values(), key=lambda point: -point.serving_bytes) for points in found.values()]


def _bar(comparison: Comparison, summary: SchemeSummary, full: SchemeSummary | None) -> float:
    """Return half the width of the interval of the difference to full, or of the AUC if there is no full table."""
    difference = comparison.difference(summary, full) if full is not None else None
    half = summary.auc.half_width if difference is None else difference.half_width
    return half if half == half else 0.0
