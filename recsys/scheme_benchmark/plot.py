"""pareto.png: the AUC of every scheme against its bytes."""

from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.files import atomic_path
from recsys.scheme_benchmark.comparison import Comparison, SchemeSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MISSING", "can_draw", "draw"]

MISSING = "pareto.png needs matplotlib: pip install 'recsys[plots]'"

MARKERS = "osD^vPX*<>pH"
NUM_COLOURS = 10
MAX_SHIFT = 1.3
"""Schemes of one budget have about the same bytes: they are drawn side by side, at up to so many times their bytes."""


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(comparison: Comparison, path: Path) -> None:
    """Draw every trained scheme, a line through its budgets, with 95 % intervals of the differences to full as bars.

    The sampling error of the test rows, which all schemes share, is not in the bars: a bar that does not reach
    the line of the full table is a significant difference.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.add_subplot()
    full = comparison.full()
    if full is not None:
        _draw_full(axes, full)
    colours = cycle(colormaps["tab10"](i) for i in range(NUM_COLOURS))
    markers = cycle(MARKERS)
    by_scheme = _by_scheme(comparison)
    for position, summaries in enumerate(by_scheme.values()):
        shift = MAX_SHIFT ** (position / max(len(by_scheme) - 1, 1) - 0.5)
        axes.errorbar(
            [summary.serving_bytes * shift for summary in summaries],
            [summary.auc.value for summary in summaries],
            yerr=[_bar(comparison, summary, full) for summary in summaries],
            label=summaries[0].scheme,
            color=next(colours),
            marker=next(markers),
            markersize=5,
            linewidth=0.6,
        )
    for allowed in {entry.allowed for entry in comparison.grid.entries if entry.allowed and entry.spec}:
        axes.axvline(allowed, color="0.8", linewidth=1, linestyle=":", zorder=0)
    axes.set_xscale("log")
    axes.set_xlabel("bytes of the embeddings as they are served (dotted: the budgets; schemes are drawn side by side)")
    axes.set_ylabel(f"{comparison.split} AUC, mean over seeds")
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside right upper", fontsize="small")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _draw_full(axes: "Axes", full: SchemeSummary) -> None:
    aucs = [result.auc for result in full.results if result.auc is not None]
    axes.axhline(full.auc.value, color="black", linewidth=1, label="full, and its seeds")
    axes.axhspan(min(aucs), max(aucs), color="black", alpha=0.1)


def _by_scheme(comparison: Comparison) -> dict[str, list[SchemeSummary]]:
    """Return the sizes of each scheme but full, the largest first; budgets that lead to one training are one size."""
    found: dict[str, dict[str, SchemeSummary]] = {}
    for entry in comparison.grid.entries:
        summary = None if entry.budget is None else comparison.summarize(entry)
        if summary is not None:
            found.setdefault(entry.variant, {})[summary.results[0].cell] = summary
    return {
        name: sorted(summaries.values(), key=lambda summary: -summary.serving_bytes)
        for name, summaries in found.items()
    }


def _bar(comparison: Comparison, summary: SchemeSummary, full: SchemeSummary | None) -> float:
    """Return half the width of the interval of the difference to full, or of the AUC if there is no full table."""
    difference = comparison.difference(summary, full) if full is not None else None
    half = summary.auc.half_width if difference is None else difference.half_width
    return half if half == half else 0.0
