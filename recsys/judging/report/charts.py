"""The pictures of a page, and what they show in words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys.evaluation.metrics import METRICS, metric_label
from recsys.judging.report.curves import Curve, Histogram, Ranking, Reliability
from recsys.judging.report.markup import Markup
from recsys.judging.report.svg import INK, LINE, inline_svg, series_colour, style
from recsys.judging.report.tables import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from recsys.evaluation.arrays import Floats

__all__ = ["Chart", "Line", "charts_of_epochs", "charts_of_task", "dash"]

SIZE = (4.0, 3.0)
"""Inches of a picture: on a phone its letters are then of the size of the text."""
_PLACE = (0.17, 0.15, 0.77, 0.8)
"""Left, bottom, width and height of the axes, as shares of the picture."""
_DASHES = ("-", "--", ":", "-.")
_BINS = 40
_MOST_TIMES = 5000
"""Ratio of the ends of such a scale at most; what lies below it leads out of the picture."""
_RARE = 0.1
"""Base rate under which scores are drawn on a scale of ratios."""


class Line(NamedTuple):
    """The look of a run, the same in all pictures of a page."""

    name: str
    model: str
    """The name that runs share if they differ only in their seed."""
    colour: int
    """The number of the model; after `NUM_COLOURS` the colours are the same again, with other dashes."""
    is_first: bool
    """Whether it is the first of the runs that share a colour; pictures that hold one run only are drawn of it."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its heading and what it tells."""

    title: str
    note: str
    """A sentence that says how to read it."""
    svg: Markup


def dash(colour: int) -> str:
    """Return matplotlib's name for the dashes of a run, so that colours are not all that tells runs apart."""
    return _DASHES[colour % len(_DASHES)]


def charts_of_task(rankings: Mapping[Line, Ranking], before: Mapping[Line, Ranking], *, prefix: str) -> list[Chart]:
    """Return the pictures of the predictions of one task.

    Args:
        rankings: predictions of each run.
        before: those before calibration, of runs that were calibrated.
        prefix: what the identifiers of the pictures begin with.
    """
    both = {line: ranking for line, ranking in rankings.items() if ranking.has_both}
    if not both:
        return []
    with style():
        drawn = [_reliability(both, before, f"{prefix}reliability")]
        drawn += [draw(both, f"{prefix}{name}") for name, draw in _CHARTS.items()]
        firsts = {line: ranking for line, ranking in both.items() if line.is_first}
        drawn += _histograms(firsts, f"{prefix}scores")
    return [chart for chart in drawn if chart is not None]


def _roc(rankings: Mapping[Line, Ranking], name: str) -> Chart:
    figure, axes = _figure("share of the negatives above the threshold", "share of the positives above it")
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
    _curves(axes, {line: ranking.roc for line, ranking in rankings.items()})
    words = _words(
        rankings, lambda one: f"at 10 % of the negatives, {percent(np.interp(0.1, *_xy(one.roc)))} of the positives"
    )
    return _chart(figure, name, "ROC", "The further up and left, the better; the diagonal is chance.", words)


def _precision_recall(rankings: Mapping[Line, Ranking], name: str) -> Chart:
    figure, axes = _figure("recall: share of the positives that are found", "precision: positives among what is found")
    _base_rates(axes, rankings)
    _curves(axes, {line: ranking.precision_recall for line, ranking in rankings.items()})
    axes.set_ylim(bottom=0)
    words = _words(
        rankings,
        lambda one: f"at a recall of 50 %, a precision of {percent(np.interp(0.5, *_xy(one.precision_recall)))}",
    )
    return _chart(figure, name, "Precision and recall", "The thin line is the share of positives: chance.", words)


def _gains(rankings: Mapping[Line, Ranking], name: str) -> Chart:
    figure, axes = _figure("share of the rows, highest scores first", "share of the positives among them")
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
    _curves(axes, {line: ranking.gains for line, ranking in rankings.items()})
    words = _words(rankings, lambda one: f"the top 10 % of the rows hold {percent(one.caught(0.1))} of the positives")
    return _chart(figure, name, "Gains", "How many of the positives the best-scored rows hold.", words)


def _lift(rankings: Mapping[Line, Ranking], name: str) -> Chart:
    figure, axes = _figure("share of the rows, highest scores first", "positives, times the average")
    axes.axhline(1, color=LINE, linewidth=1)
    _curves(axes, {line: ranking.lift for line, ranking in rankings.items()})
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(bottom=0)
    words = _words(rankings, lambda one: f"the top 10 % of the rows have {one.caught(0.1) / 0.1:.2f} times the average")
    return _chart(figure, name, "Lift", "1 is what rows drawn at random would have.", words)


def _reliability(rankings: Mapping[Line, Ranking], before: Mapping[Line, Ranking], name: str) -> Chart | None:
    """Draw the first run of each model, and in grey what it predicted before it was calibrated."""
    probable = {line: ranking for line, ranking in rankings.items() if line.is_first and ranking.is_probability}
    if not probable:
        return None
    figure, axes = _figure("mean prediction", "share of positives")
    found = {line: ranking.reliability for line, ranking in probable.items()}
    former = [before[line].reliability for line in probable if line in before]
    low, high, is_wide = _reach([*found.values(), *former])
    axes.plot([low, high], [low, high], color=LINE, linewidth=1)
    for one in former:
        axes.plot(one.predicted, one.actual, color=INK, linestyle=":", linewidth=1, marker="o", markersize=2)
    for line, one in found.items():
        bars = np.abs(np.stack([one.low, one.high]) - one.actual)
        look = {"color": series_colour(line.colour), "linestyle": dash(line.colour), "linewidth": 1, "elinewidth": 1}
        axes.errorbar(one.predicted, one.actual, yerr=bars, marker="o", markersize=3, **look)  # type: ignore[arg-type]
    if is_wide:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(left=low / 1.5)
        axes.set_ylim(bottom=low / 1.5)
    _rates(axes)
    words = _words(
        probable,
        lambda one: "{} of {} bins have the diagonal within their interval".format(*_bins_on_diagonal(one)),
    )
    note = "On the diagonal, predictions can be taken at their word. Bars: 95 % intervals; bins hold equally many rows."
    note += " Grey: before calibration." * bool(former)
    return _chart(figure, name, "Reliability", note, words)


def _reach(found: Sequence[Reliability]) -> tuple[float, float, bool]:
    """Return the ends of the diagonal, and whether it is drawn on a scale of ratios, as rare positives need it."""
    low = min(float(one.predicted.min()) for one in found)
    high = max(float(max(one.predicted.max(), one.high.max())) for one in found)
    is_wide = low > 0 and high > 30 * low
    return max(low, high / _MOST_TIMES) if is_wide else 0.0, high, is_wide


def _bins_on_diagonal(ranking: Ranking) -> tuple[int, int]:
    found = ranking.reliability
    return int(((found.low <= found.predicted) & (found.predicted <= found.high)).sum()), len(found.predicted)


def _histograms(rankings: Mapping[Line, Ranking], name: str) -> list[Chart]:
    """Draw the scores of each run by class, on the same axes."""
    edges, is_wide = _edges(list(rankings.values()))
    found = {line: ranking.histogram(edges) for line, ranking in rankings.items()}
    top = 1.05 * max(float(np.maximum(one.positive, one.negative).max()) for one in found.values())
    charts = []
    for line, ranking in rankings.items():
        figure, axes = _figure("score", "share of the class")
        axes.set_ylim(0, top)
        title = f"Scores by class{f': {line.name}' * (len(rankings) > 1)}"
        words = _draw_histogram(axes, line, ranking, found[line], is_wide=is_wide)
        charts.append(_chart(figure, f"{name}-{line.colour}", title, "Line: positives. Grey: negatives.", [words]))
    return charts


def _draw_histogram(axes: "Axes", line: Line, ranking: Ranking, found: Histogram, *, is_wide: bool) -> str:
    """Draw the scores of one run, and return the words on them."""
    axes.stairs(found.negative, found.edges, fill=True, color=INK, alpha=0.35)
    axes.stairs(found.positive, found.edges, color=series_colour(line.colour), linewidth=1.6)
    if is_wide:
        axes.set_xscale("log")
    _rates(axes, "y")
    if ranking.is_probability:
        _rates(axes, "x")
    means = [_mean(ranking, mass) for mass in (ranking.positive, ranking.negative)]
    return "{}: mean score of the positives {}, of the negatives {}".format(line.name, *means)


def _mean(ranking: Ranking, mass: "Floats") -> str:
    return f"{float(mass @ ranking.score) / float(mass.sum()):.3g}"


def _edges(rankings: Sequence[Ranking]) -> tuple["Floats", bool]:
    """Return the bins of scores for all runs, and whether they are on a scale of ratios, as rare positives need it."""
    low = min(ranking.quantile(0.001) for ranking in rankings)
    high = max(ranking.quantile(0.999) for ranking in rankings)
    if not low < high:
        low, high = low - 0.5, high + 0.5
    is_wide = low > 0 and high > 10 * low and min(ranking.base_rate for ranking in rankings) < _RARE
    return (np.geomspace if is_wide else np.linspace)(low, high, _BINS + 1), is_wide


_CHARTS: Mapping[str, Callable[[Mapping[Line, Ranking], str], Chart]] = {
    "roc": _roc,
    "precision": _precision_recall,
    "gains": _gains,
    "lift": _lift,
}


def charts_of_epochs(epochs: Mapping[Line, Sequence[Mapping[str, float]]]) -> list[Chart]:
    """Return a picture for each figure of the epochs that reports show."""
    known = {line: list(of) for line, of in epochs.items() if of}
    keys = list(dict.fromkeys(key for of in known.values() for figures in of for key in figures))
    with style():
        return [_learning(known, key) for key in keys if _is_shown(key)]


def _is_shown(key: str) -> bool:
    split, _, name = key.partition(".")
    name = name.rpartition(".")[2]
    return key == "train.loss" or (split == "valid" and name in METRICS and METRICS[name].is_headline)


def _learning(epochs: Mapping[Line, Sequence[Mapping[str, float]]], key: str) -> Chart:
    from matplotlib.ticker import MaxNLocator

    name = key.partition(".")[2]
    task, _, metric = name.rpartition(".")
    figure, axes = _figure("epoch", "")
    words = []
    best = max if metric in METRICS and METRICS[metric].higher_is_better else min
    for line, figures in epochs.items():
        points = [(one["epoch"], one[key]) for one in figures if key in one and isfinite(one[key])]
        if not points:
            continue
        _plot(axes, line, *map(list, zip(*points, strict=True)), marker="o", markersize=3)
        epoch, value = best(points, key=lambda point: point[1])
        words.append(f"{line.name}: {len(points)} epochs, best {value:.5f} in epoch {epoch:g}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    title = "Training loss" if key == "train.loss" else f"Validation {metric_label(metric)}"
    return _chart(figure, "epochs-" + key.replace(".", "-"), f"{title}{f': {task}' * bool(task)}", "", words)


def _figure(x_label: str, y_label: str) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE)
    axes = figure.add_axes(_PLACE)
    axes.set_axisbelow(True)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def _curves(axes: "Axes", curves: Mapping[Line, Curve]) -> None:
    for line, curve in curves.items():
        _plot(axes, line, curve.x, curve.y)
    _rates(axes)
    axes.set_xlim(0, 1)


def _plot(
    axes: "Axes", line: Line, x: "Sequence[float] | Floats", y: "Sequence[float] | Floats", **looks: object
) -> None:
    axes.plot(x, y, color=series_colour(line.colour), linestyle=dash(line.colour), **looks)  # type: ignore[arg-type]


def _base_rates(axes: "Axes", rankings: Mapping[Line, Ranking]) -> None:
    for rate in {ranking.base_rate for ranking in rankings.values()}:
        axes.axhline(rate, color=LINE, linewidth=1)


def _rates(axes: "Axes", which: str = "both") -> None:
    """Write shares as percentages."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for axis in [axes.xaxis] * (which != "y") + [axes.yaxis] * (which != "x"):
        low, high = axis.get_view_interval()
        if axis.get_scale() == "log":
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
        axis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
        axis.set_minor_formatter(NullFormatter())


def _xy(curve: Curve) -> tuple["Floats", "Floats"]:
    return curve.x, curve.y


def _words(rankings: Mapping[Line, Ranking], say: Callable[[Ranking], str]) -> list[str]:
    return [f"{line.name}: {say(ranking)}" for line, ranking in rankings.items()]


def _chart(figure: "Figure", name: str, title: str, note: str, words: Sequence[str]) -> Chart:
    return Chart(title, note, inline_svg(figure, name=name, title=title, description="; ".join(words) or note))
