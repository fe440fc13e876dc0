"""The page: what decides first, then the figures, where the model is weak, the pictures, and what was run."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING

from recsys import __version__
from recsys.evaluation.metrics import METRICS, is_interval_end, metric_label
from recsys.judging.report.charts import Chart, Line, charts_of_epochs, charts_of_task, dash
from recsys.judging.report.curves import Ranking
from recsys.judging.report.frames import DIFFERENCES, IMPORTANCE, SLICES, frames_section
from recsys.judging.report.judged import Compared, Judged
from recsys.judging.report.markup import Content, Markup, element, join
from recsys.judging.report.settings import settings_section
from recsys.judging.report.svg import NUM_COLOURS
from recsys.judging.report.tables import figure_cell, interval_bar, number, percent, scale_of, table

if TYPE_CHECKING:
    from recsys.evaluation.predictions import Predictions
    from recsys.evaluation.verdict import Verdict

__all__ = ["page"]

_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
_BORDERS = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "double"}


def page(
    runs: Sequence[Judged], compared: Sequence[Compared] = (), means: Mapping[str, Mapping[str, float]] | None = None
) -> str:
    """Return the HTML of one or several runs.

    Args:
        runs: at least one, names unique.
        compared: differences between them, the one that decides first.
        means: figures of models, means over their seeds, by the name of the model.
    """
    lines = _lines(runs)
    tasks = list(dict.fromkeys(task for run in runs for task in run.predictions))
    by_line = dict(zip(lines, runs, strict=True))
    rankings = {task: _rankings({line: run.predictions for line, run in by_line.items()}, task) for task in tasks}
    before = {task: _rankings({line: run.uncalibrated for line, run in by_line.items()}, task) for task in tasks}
    slices = [(run.name, run.slices) for run in runs]
    sections = [
        ("figures", "Figures", [_figures(runs, means or {}), _calibrated(runs)]),
        ("slices", "Where it is weak", [_differences(compared), frames_section(slices, SLICES)]),
        ("curves", "Ranking and probabilities", _curves(lines, rankings, before)),
        ("importance", "What carries it", frames_section([(run.name, run.importance) for run in runs], IMPORTANCE)),
        ("epochs", "Training", _training(lines, runs)),
        ("settings", "What was run", settings_section(runs)),
    ]
    kept = [(name, title, join(content)) for name, title, content in sections if join(content)]
    links = [element("a", title, href=f"#{name}") for name, title, _ in kept]
    title = " against ".join(line.model for line in lines if line.is_first)
    body = [
        element("h1", title),
        element("p", _about(runs), class_="soft"),
        _verdicts(compared, is_one_seed=all(line.is_first for line in lines))
        if compared
        else _summary(runs, rankings)
        if len(runs) == 1
        else "",
        element("nav", links, aria_label="Sections"),
        [element("section", element("h2", title), content, id=name) for name, title, content in kept],
        element("footer", f"recsys {__version__}. Intervals hold with 95 %; they take rows as independent."),
    ]
    return _document(title, body)


def _document(title: str, body: Content) -> str:
    style = files("recsys.judging.report").joinpath("page.css").read_text(encoding="utf-8")
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", Markup(style)),
    ]
    return "<!doctype html>\n" + element("html", element("head", head), element("body", body), lang="en") + "\n"


def _lines(runs: Sequence[Judged]) -> list[Line]:
    models = list(dict.fromkeys(run.model or run.name for run in runs))
    seen: set[str] = set()
    lines = []
    for run in runs:
        model = run.model or run.name
        lines.append(Line(run.name, model, models.index(model), model not in seen))
        seen.add(model)
    return lines


def _rankings(predictions: "Mapping[Line, Mapping[str, Predictions]]", task: str) -> dict[Line, Ranking]:
    found = {line: of[task] for line, of in predictions.items() if task in of}
    return {line: Ranking(one.label, one.score, one.weight) for line, one in found.items()}


def _about(runs: Sequence[Judged]) -> str:
    """Say how many runs there are, and what their rows are."""
    counts = {run.metrics["rows"] for run in runs if "rows" in run.metrics}
    number = [f"{len(runs)} runs"] if len(runs) > 1 else []
    return ", ".join(
        [*number, *sorted({run.about for run in runs} - {""}), *(f"{one:,.0f} rows" for one in sorted(counts))]
    )


def _verdicts(compared: Sequence[Compared], *, is_one_seed: bool) -> Markup:
    first, *others = map(_verdict, compared)
    limit = "Each model was trained once: intervals hold for other rows, not for other seeds." if is_one_seed else ""
    return join(
        first, element("p", limit, class_="soft") if limit else "", _fold("Other pairs", others) if others else ""
    )


def _verdict(one: Compared) -> Markup:
    first, *_ = one.verdicts
    rows = [_difference(verdict) for verdict in one.verdicts]
    caption = f"{one.first} minus {one.second}"
    return join(
        element(
            "div",
            element("p", first.claim(one.first, one.second), class_="claim"),
            element("p", f"{metric_label(first.metric)}: {_in_words(first)}"),
            element("p", first.what_would_tell(), class_="soft") if first.what_would_tell() else "",
            class_=f"verdict {first.word}",
        ),
        table(caption, ["figure", "difference", "", "p value", "verdict"], rows),
    )


def _differences(compared: Sequence[Compared]) -> Markup:
    frames = [(f"{one.first} minus {one.second}", one.slices) for one in compared]
    return join([frames_section([(name, frame), ("", None)], DIFFERENCES) for name, frame in frames])


def _in_words(verdict: "Verdict") -> str:
    found = verdict.difference
    if not isfinite(found.low):
        return f"difference {number(found.value, 5, is_signed=True)}, no interval"
    value, low, high = (number(one, 5, is_signed=True) for one in (found.value, found.low, found.high))
    return f"difference {value}, 95 % interval {low} to {high}"


def _difference(verdict: "Verdict") -> list[Content]:
    found = verdict.difference
    scale = scale_of((found.value, found.low, found.high), 0.0)
    p_value = number(verdict.p_value, 4) if not verdict.p_value < 0.0001 else "< 0.0001"
    return [
        metric_label(verdict.metric),
        figure_cell(found.value, found.low, found.high, digits=5, is_signed=True),
        interval_bar(found.value, found.low, found.high, middle=0.0, scale=scale),
        p_value,
        "cannot be told apart" if verdict.word == "undecided" else verdict.word,
    ]


def _summary(runs: Sequence[Judged], rankings: Mapping[str, Mapping[Line, Ranking]]) -> Markup:
    """Return the few figures that say most about one run, each with its meaning."""
    (run, *_), facts = runs, []
    for task, of in rankings.items():
        prefix = f"{task}." if task else ""
        name = f"{task}: " if task else ""
        ranking = next(iter(of.values()))
        auc, calibration = (run.metrics.get(f"{prefix}{one}") for one in ("auc", "calibration"))
        if auc is not None and isfinite(auc):
            ends = _ends(run.metrics, f"{prefix}auc")
            facts.append(
                (
                    f"{name}AUC",
                    number(auc, 4),
                    f"{ends}a positive is scored above a negative in {percent(auc)} of pairs",
                )
            )
        if calibration is not None and isfinite(calibration):
            facts.append(
                (f"{name}Predicted / actual", number(calibration, 3), _calibration_in_words(run.metrics, prefix))
            )
        if ranking.has_both:
            facts.append((f"{name}Top 10 % of rows", percent(ranking.caught(0.1)), "of all positives are among them"))
            facts.append((f"{name}Positives", percent(ranking.base_rate, 2), f"of {ranking.rows:,} rows"))
    cells = [
        element(
            "div",
            element("dt", title),
            element("dd", element("span", value, class_="value"), element("span", note, class_="soft")),
        )
        for title, value, note in facts
    ]
    return element("dl", cells, class_="facts")


def _ends(metrics: Mapping[str, float], name: str) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return "" if low is None or high is None else f"{number(low, 4)} to {number(high, 4)}: "


def _calibration_in_words(metrics: Mapping[str, float], prefix: str) -> str:
    value, ends = (
        metrics[f"{prefix}calibration"],
        [metrics.get(f"{prefix}calibration_{end}") for end in ("low", "high")],
    )
    if all(end is not None for end in ends) and float(ends[0] or 0) <= 1 <= float(ends[1] or 0):
        return "the mean prediction is right, as far as these rows tell"
    return f"predictions are {percent(abs(value - 1))} too {'high' if value > 1 else 'low'} on average"


def _figures(runs: Sequence[Judged], means: Mapping[str, Mapping[str, float]]) -> Markup:
    """Return the figures of the runs, those of many seeds behind their means."""
    metrics = {run.name: run.metrics for run in runs}
    names = _names(metrics)
    known = [name for name in names if name.rpartition(".")[2] in METRICS]
    others = [name for name in names if name not in known]
    parts = []
    if means:
        caption = "Means over seeds, with 95 % intervals for other rows and other seeds"
        parts.append(_figure_table(caption, means, _names(means)))
    if known:
        shown = _figure_table("With 95 % intervals", metrics, known)
        parts.append(_fold(f"Each of the {len(runs)} runs", shown) if means else shown)
    if others:
        caption = "Counts and other figures"
        parts.append(_fold(caption, _figure_table(caption, metrics, others)))
    return join(parts)


def _names(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for of in metrics.values() for name in of if not _is_end(name)))


def _fold(summary: str, content: Content) -> Markup:
    return element("details", element("summary", summary), content)


def _calibrated(runs: Sequence[Judged]) -> Markup:
    """Return what calibration has changed, for the runs that were calibrated."""
    calibrated = [run for run in runs if run.figures_before]
    if not calibrated:
        return Markup()
    names = _names({run.name: run.figures_before for run in calibrated})
    head = [f"{run.name} {when}" if len(runs) > 1 else when for run in calibrated for when in ("before", "after")]
    rows = [
        [_figure_name(name), *(_figure(of, name) for run in calibrated for of in (run.figures_before, run.metrics))]
        for name in names
    ]
    return table("Before and after calibration", ["figure", *head], rows)


def _is_end(name: str) -> bool:
    return is_interval_end(name.rpartition(".")[2]) or name.endswith(("_low", "_high"))


def _figure_table(caption: str, metrics: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> Markup:
    rows = [[_figure_name(name), *(_figure(of, name) for of in metrics.values())] for name in names]
    return table(caption, ["figure", *metrics], rows)


def _figure_name(name: str) -> str:
    task, _, metric = name.rpartition(".")
    return f"{task}: {metric_label(metric)}" if task else metric_label(metric)


def _figure(metrics: Mapping[str, float], name: str) -> Content:
    value = metrics.get(name)
    if value is None:
        return ""
    if value == int(value) if isfinite(value) else False:
        return f"{value:,.0f}"
    return figure_cell(value, metrics.get(f"{name}_low"), metrics.get(f"{name}_high"), digits=5)


def _curves(
    lines: Sequence[Line],
    rankings: Mapping[str, Mapping[Line, Ranking]],
    before: Mapping[str, Mapping[Line, Ranking]],
) -> Markup:
    parts: list[Content] = []
    for number_, (task, of) in enumerate(rankings.items()):
        charts = charts_of_task(of, before[task], prefix=f"task{number_}-")
        if charts:
            parts += [element("h3", task) if task else "", _legend(lines), _grid(charts), _top_rows(of)]
    return join(parts)


def _top_rows(rankings: Mapping[Line, Ranking]) -> Markup:
    known = {line: ranking for line, ranking in rankings.items() if ranking.has_both}
    rows = [
        [f"top {percent(share, 0)}", *(percent(ranking.caught(share)) for ranking in known.values())]
        for share in _SHARES
    ]
    return table(
        "Share of all positives among the rows with the highest scores", ["rows", *(line.name for line in known)], rows
    )


def _training(lines: Sequence[Line], runs: Sequence[Judged]) -> Markup:
    charts = charts_of_epochs({line: run.epochs for line, run in zip(lines, runs, strict=True)})
    return join(_legend(lines), _grid(charts)) if charts else Markup()


def _legend(lines: Sequence[Line]) -> Markup:
    if len(lines) < 2:
        return Markup()
    entries = []
    for line in lines:
        look = f"border-color: var(--c{line.colour % NUM_COLOURS}); border-top-style: {_BORDERS[dash(line.colour)]}"
        entries.append(element("li", element("i", style=look, aria_hidden="true"), line.name))
    return element("ul", entries, class_="legend")


def _grid(charts: Sequence[Chart]) -> Markup:
    figures = [
        element("figure", element("figcaption", chart.title, element("span", chart.note)), chart.svg)
        for chart in charts
    ]
    return element("div", figures, class_="charts")
