"""pareto.png: the AUC of every candidate against its bytes."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.files import atomic_path
from recsys.search.candidate import Measured
from recsys.units import format_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MISSING", "can_draw", "draw"]

MISSING = "pareto.png needs matplotlib: pip install 'recsys[plots]'"


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(
    path: Path,
    *,
    candidates: Sequence[Measured],
    front: Sequence[Measured],
    trained: Sequence[Measured],
    baseline: Measured,
    half_widths: Mapping[str, float],
    budget: int | None,
) -> None:
    """Draw the candidates and their front, the models that were trained, the baseline and the budget.

    Args:
        path: file of the picture.
        candidates: all that were measured; those of a supernet have its AUC, not that of a model of their own.
        front: those that no other beats, the smallest first.
        trained: models that were trained.
        baseline: the model of the user's configuration as it is.
        half_widths: by the name of a trained model, half the 95 % interval of its difference to the baseline: a bar
            that does not reach the line of the baseline is a significant difference.
        budget: bytes that were asked for.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.add_subplot()
    label = "candidate, on the supernet" if any(one.source == "supernet" for one in candidates) else "trial"
    axes.scatter(*_xy(candidates), s=14, color="0.7", label=label)
    axes.plot(*_xy(front), color="tab:blue", marker="o", markersize=4, linewidth=1, label="front")
    axes.axhline(baseline.auc, color="black", linewidth=0.6)
    axes.plot(*_xy([baseline]), color="black", marker="*", markersize=10, linestyle="", label="as it is, trained")
    if trained:
        bars = [half_widths.get(one.name, 0.0) for one in trained]
        axes.errorbar(
            *_xy(trained), yerr=bars, label="trained", color="tab:green", marker="D", linestyle="", linewidth=1
        )
    if budget is not None:
        axes.axvline(budget, color="tab:red", linewidth=1, linestyle=":", label="budget")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda size, _: format_bytes(size))
    axes.xaxis.set_minor_formatter(lambda size, _: format_bytes(size) if _is_single(axes) else "")
    axes.set_xlabel("bytes of the tables as they are served")
    axes.set_ylabel("validation AUC (bars: 95 % of the difference to as it is)")
    axes.legend(fontsize="small", loc="lower right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _xy(points: Sequence[Measured]) -> tuple[list[int], list[float]]:
    return [max(one.serving_bytes, 1) for one in points], [one.auc for one in points]


def _is_single(axes: "Axes") -> bool:
    """Return whether less than a power of ten is shown, so that one label would stand alone."""
    low, high = axes.get_xlim()
    return high < 10 * low
