"""pareto.png: AUC against bytes."""

from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.files import atomic_path
from recsys.scheme_benchmark.table import Comparison, Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MISSING", "can_draw", "draw"]

MISSING = "pareto.png needs matplotlib: pip install 'recsys[plots]'"

MARKERS = "osD^vPX*<>pH"
NUM_COLOURS = 10
BESIDE = 1.3
"""Schemes of one budget have about the same bytes; they are drawn beside each other, the last so many times as far."""


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(comparison: Comparison, path: Path) -> None:
    """Draw every trained scheme, a line through its budgets; bars are the 95 % intervals of the difference to full.

    The error of the test rows, which is the same for all schemes, is not in the bars: a bar that does not reach
    the line of the full table is a difference outside the noise.
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
    for place, lines in enumerate(by_scheme.values()):
        moved = BESIDE ** (place / max(len(by_scheme) - 1, 1) - 0.5)
        axes.errorbar(
            [line.serving_bytes * moved for line in lines],
            [line.auc.value for line in lines],
            yerr=[_bar(comparison, line, full) for line in lines],
            label=lines[0].scheme,
            color=next(colours),
            marker=next(markers),
            markersize=5,
            linewidth=0.6,
        )
    for allowed in {entry.allowed for entry in comparison.grid.entries if entry.allowed and entry.spec}:
        axes.axvline(allowed, color="0.8", linewidth=1, linestyle=":", zorder=0)
    axes.set_xscale("log")
    axes.set_xlabel("bytes of the embeddings as they are served (dotted: the budgets; schemes stand beside each other)")
    axes.set_ylabel(f"{comparison.split} AUC, mean over seeds")
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside right upper", fontsize="small")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _draw_full(axes: "Axes", full: Line) -> None:
    aucs = [result.auc for result in full.results if result.auc is not None]
    axes.axhline(full.auc.value, color="black", linewidth=1, label="full, and its seeds")
    axes.axhspan(min(aucs), max(aucs), color="black", alpha=0.1)


def _by_scheme(comparison: Comparison) -> dict[str, list[Line]]:
    """Return the lines of each scheme but full, the largest first; budgets that come to one training are one line."""
    found: dict[str, dict[str, Line]] = {}
    for entry in comparison.grid.entries:
        line = None if entry.budget is None else comparison.line(entry)
        if line is not None:
            found.setdefault(entry.variant, {})[line.results[0].cell] = line
    return {name: sorted(lines.values(), key=lambda line: -line.serving_bytes) for name, lines in found.items()}


def _bar(comparison: Comparison, line: Line, full: Line | None) -> float:
    """Return half of the interval of the difference to full, or of the AUC where there is no full table."""
    difference = comparison.difference(line, full) if full is not None else None
    half = line.auc.half if difference is None else difference.half
    return half if half == half else 0.0
