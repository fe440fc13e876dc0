"""pareto.png: AUC against bytes, the one picture of it, for searches and for comparisons of schemes.

A point stands at its true bytes. Where points are close together, it is their labels that make room, and a thin line
leads from each label to its point.
"""

from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from recsys.files import atomic_path
from recsys.judging.labels import Box, place_labels
from recsys.units import format_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MISSING", "Point", "Series", "can_draw", "draw_pareto", "pareto_figure"]

MISSING = "pareto.png needs matplotlib: pip install 'recsys[plots]'"

MARKERS = "osD^vPX*<>pH"
NUM_COLOURS = 10
MUTED = "0.7"
_FONT_SIZE = 7.5
_ROOM = 0.15
"""Share of the width of the points that is left free beside the first and the last ones, for their labels."""


class Point(NamedTuple):
    """Tables that were measured."""

    label: str
    """Stands beside the point; "" for none."""
    serving_bytes: float
    auc: float
    half_width: float = 0.0
    """Half the interval that is drawn as a bar; 0 for none."""


class Series(NamedTuple):
    """Points of one kind, such as those of one scheme."""

    points: Sequence[Point]
    legend: str = ""
    """Text in the legend; "" for points that are labelled one by one."""
    is_muted: bool = False
    """Whether they are only the background: small, grey, without labels."""


class Look(NamedTuple):
    """The look of the label of a point."""

    colour: str
    weight: Literal["normal", "bold"] = "normal"


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_pareto(
    path: Path,
    series: Sequence[Series],
    *,
    front: Sequence[Point],
    reference: Series | None,
    budgets: Collection[int],
    x_label: str,
    y_label: str,
) -> None:
    """Write the picture as PNG; the arguments are those of `pareto_figure`."""
    figure = pareto_figure(series, front=front, reference=reference, budgets=budgets, x_label=x_label, y_label=y_label)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def pareto_figure(
    series: Sequence[Series],
    *,
    front: Sequence[Point],
    reference: Series | None,
    budgets: Collection[int],
    x_label: str,
    y_label: str,
) -> "Figure":
    """Draw points, the line of those that no other beats, the reference and the budgets.

    Args:
        series: all points but the reference.
        front: the points that no other beats in both bytes and AUC, the smallest first.
        reference: what the others are compared with, such as the full table: one point, with a line at its AUC that the
            bars of the others reach or not.
        budgets: bytes that were asked for.
        x_label: what the bytes are.
        y_label: what the AUC is, and what the bars are.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if len(front) > 1:
        axes.plot(*_xy(front), color="0.25", linewidth=1.6, marker="o", markersize=3, zorder=1.5, label="front")
    looks = _draw_series(axes, series)
    if reference is not None:
        _draw_reference(axes, reference)
    _make_room(axes)
    _draw_budgets(axes, budgets)
    _name_bytes(axes)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize="small", loc="lower right")
    if reference is not None:
        looks[reference.points[0]] = Look("black")
    looks |= {point: Look(looks[point].colour, "bold") for point in front if point in looks}
    _draw_labels(figure, axes, [point for one in series for point in one.points], looks)
    return figure


def _draw_series(axes: "Axes", series: Sequence[Series]) -> dict[Point, Look]:
    """Draw the points and their bars, those of a series joined by a thin line; return the look of each named point."""
    looks: dict[Point, Look] = {}
    styles = zip(cycle(f"C{number}" for number in range(NUM_COLOURS)), cycle(MARKERS), strict=False)
    for one in series:
        if one.is_muted:
            axes.scatter(*_xy(one.points), s=14, color=MUTED, label=one.legend, zorder=1)
            continue
        colour, marker = next(styles)
        axes.plot(*_xy(one.points), color=colour, linewidth=0.5, alpha=0.35, zorder=1)
        bars = [point.half_width for point in one.points]
        style = {"color": colour, "marker": marker, "markersize": 5, "linestyle": "", "linewidth": 1}
        axes.errorbar(*_xy(one.points), yerr=bars, label=one.legend or "_", **style)  # type: ignore[arg-type]
        looks |= dict.fromkeys(one.points, Look(colour))
    return looks


def _draw_reference(axes: "Axes", reference: Series) -> None:
    (point,) = reference.points
    axes.axhline(point.auc, color="black", linewidth=0.6, zorder=1)
    bars = {"yerr": [point.half_width], "color": "black", "marker": "*", "markersize": 10, "linestyle": ""}
    axes.errorbar(*_xy([point]), label=reference.legend, **bars)  # type: ignore[arg-type]


def _draw_budgets(axes: "Axes", budgets: Collection[int]) -> None:
    for position, budget in enumerate(sorted(budgets)):
        axes.axvline(budget, color="tab:red", linewidth=1, linestyle=":", zorder=0, label="_" if position else "budget")
        axes.annotate(
            format_bytes(budget),
            (budget, 0.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 4),
            textcoords="offset points",
            rotation="vertical",
            horizontalalignment="right",
            verticalalignment="bottom",
            fontsize="x-small",
            color="tab:red",
        )


def _make_room(axes: "Axes") -> None:
    """Fix what is shown, with room for labels beside all points."""
    low, high = axes.get_xlim()
    axes.set_xlim(low * (low / high) ** _ROOM, high * (high / low) ** _ROOM)
    axes.set_ylim(axes.get_ylim())


def _name_bytes(axes: "Axes") -> None:
    """Name the bytes at powers of ten; at their multiples too, if no two powers are shown."""
    low, high = axes.get_xlim()
    axes.xaxis.set_major_formatter(lambda size, _: _bytes(size))
    axes.xaxis.set_minor_formatter(lambda size, _: _bytes(size) if high < 30 * low else "")


def _bytes(size: float) -> str:
    return format_bytes(size).replace(".0 ", " ")


def _draw_labels(figure: "Figure", axes: "Axes", points: Collection[Point], looks: Mapping[Point, Look]) -> None:
    """Write the labels of points where they cover nothing, and lead a line from each to its point."""
    from matplotlib.patheffects import withStroke

    figure.draw_without_rendering()  # so that the axes have their final place
    named = sorted((point for point in looks if point.label), key=lambda point: (-point.auc, point))
    others = [point for point in points if point not in named]
    places_P2 = axes.transData.transform(np.column_stack(_xy([*named, *others])))
    boxes = place_labels(places_P2, _sizes(figure, named, looks), Box(*axes.bbox.extents))
    to_axes = axes.transAxes.inverted().transform
    for point, box, (x, _) in zip(named, boxes, places_P2, strict=False):
        is_left = box.right < x
        place_x, place_y = to_axes((box.right if is_left else box.left, (box.bottom + box.top) / 2))
        line = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            point.label,
            (max(point.serving_bytes, 1.0), point.auc),
            xytext=(place_x, place_y),
            textcoords="axes fraction",
            horizontalalignment="right" if is_left else "left",
            verticalalignment="center",
            fontsize=_FONT_SIZE,
            fontweight=looks[point].weight,
            color=looks[point].colour,
            arrowprops=line | {"relpos": (float(is_left), 0.5)},
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
            parse_math=False,
        ).set_in_layout(False)


def _sizes(figure: "Figure", points: Sequence[Point], looks: Mapping[Point, Look]) -> list[tuple[float, float]]:
    """Return width and height of the labels in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import FontProperties

    renderer: Any = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    fonts = [FontProperties(size=_FONT_SIZE, weight=looks[point].weight) for point in points]
    found = [
        renderer.get_text_width_height_descent(point.label, font, ismath=False)
        for point, font in zip(points, fonts, strict=True)
    ]
    return [(width, height) for width, height, _ in found]


def _xy(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [max(point.serving_bytes, 1.0) for point in points], [point.auc for point in points]
