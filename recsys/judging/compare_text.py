"""A comparison in words: the verdict in the first line, then the figures; and as JSON for programs."""

import re
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from recsys.evaluation.metrics import METRICS, metric_label
from recsys.evaluation.paired import Figure
from recsys.evaluation.seeds import spread
from recsys.evaluation.verdict import Verdict, describe_difference
from recsys.judging.compare_runs import Comparison, Pair

__all__ = ["aligned", "as_facts", "describe", "headline"]

_SEED = re.compile(r"^(.*-seed-)\d+$")


def describe(comparison: Comparison, rows: str) -> str:
    """Return the comparison as text.

    Args:
        comparison: the models that were compared.
        rows: what the rows are, such as "of the test split".
    """
    told = comparison.verdict.what_would_tell()
    parts = [
        "\n".join([headline(comparison), *([f"{told}."] if told else []), *_other_views(comparison)]),
        aligned(_models(comparison)),
        aligned(_differences(comparison)),
        "\n".join([f"{comparison.num_rows:,} rows {rows}.", *_notes(comparison)]),
    ]
    return "\n\n".join(parts)


def headline(comparison: Comparison) -> str:
    """Return the verdict in one line.

    It is that of the two models; of more than two, which is the best and which others may be as good.
    """
    best, second = comparison.contenders[0], comparison.contenders[1]
    label = metric_label(comparison.metric)
    values = [comparison.figures[comparison.metric][one.name].mean for one in (best, second)]
    if isnan(values[0]):
        return f"{best.name} and {second.name} cannot be told apart: {label} is not defined on these rows"
    if len(comparison.contenders) == 2:
        figures = f"{label} {values[0]:.5f} against {values[1]:.5f}"
        claim = comparison.verdict.claim(best.name, second.name)
        return f"{claim}: {figures}, {describe_difference(comparison.verdict.difference)}"
    return f"{_claim_of_many(comparison)} ({label} {values[0]:.5f})"


def _claim_of_many(comparison: Comparison) -> str:
    worse: list[str] = []
    equal: list[str] = []
    for other in comparison.contenders[1:]:
        found = comparison.pair(comparison.best.name, other.name).verdicts[comparison.metric]
        (equal if found.word == "undecided" else worse).append(other.name)
    best = f"{comparison.best.name} is the best of {len(comparison.contenders)}"
    if not equal:
        return f"{best}: better than {_listed(worse)}"
    seems = f"{comparison.best.name} looks best of {len(comparison.contenders)}, but cannot be told apart from"
    return f"{seems} {_listed(equal)}" + (f"; it is better than {_listed(worse)}" if worse else "")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _other_views(comparison: Comparison) -> list[str]:
    """Say which shown metrics tell the best two apart otherwise than the one that decides."""
    pair = comparison.pairs[0]
    views = []
    for name in _shown(comparison):
        found = pair.verdicts[name]
        if found.word not in ("undecided", comparison.verdict.word):
            first, second = (pair.first, pair.second) if found.word == "better" else (pair.second, pair.first)
            text = describe_difference(found.difference)
            views.append(f"By {metric_label(name)}, {first} is better than {second}: {text}.")
    return views


def _shown(comparison: Comparison) -> list[str]:
    return [name for name in comparison.figures if METRICS[name].is_headline or name == comparison.metric]


def _models(comparison: Comparison) -> list[Sequence[str]]:
    names = _shown(comparison)
    rows = [["model", "seeds", *map(metric_label, names)]]
    for one in comparison.contenders:
        figures = [_figure(comparison.figures[name][one.name]) for name in names]
        rows.append([one.name, str(len(one.seeds)), *figures])
    return [*rows]


def _figure(figure: Figure) -> str:
    mean, deviation = spread(figure.values)
    return f"{mean:.5f}" if isnan(deviation) else f"{mean:.5f} (seeds: {deviation:.5f})"


def _differences(comparison: Comparison) -> list[Sequence[str]]:
    """Return the differences of the best model to each other one."""
    rows: list[Sequence[str]] = [("difference", "metric", "(95 % interval)", "p", "verdict")]
    for pair in comparison.pairs[: len(comparison.contenders) - 1]:
        title = f"{pair.first} - {pair.second}"
        for name in _shown(comparison):
            found = pair.verdicts[name]
            difference = describe_difference(found.difference).replace("95 % interval ", "")
            rows.append((title, metric_label(name), difference, _p(found), _word(found)))
            title = ""
    return rows


def _p(found: Verdict) -> str:
    if isnan(found.p_value):
        return "-"
    return "< .0001" if found.p_value < 0.0001 else f"{found.p_value:.4f}".removeprefix("0")


def _word(found: Verdict) -> str:
    return "cannot be told apart" if found.word == "undecided" else found.word


def _notes(comparison: Comparison) -> list[str]:
    notes = []
    if len(comparison.contenders) > 2:
        number = len(comparison.pairs)
        notes.append(f"p values are corrected for {number} pairs (Holm); the verdicts go by them.")
    single = [one.name for one in comparison.contenders if len(one.seeds) == 1]
    if len(single) == len(comparison.contenders):
        once = "Intervals hold for other rows, not for other seeds, with which training gives other models:"
        notes.append(f"{once} recsys train CONFIG --seeds 3, then compare 'runs/NAME-seed-*'.")
    else:
        notes.append(
            "Intervals hold for other rows and for other seeds; (seeds: ...) is the standard deviation of one."
        )
        notes += [
            f"{name}, of one seed, is taken to vary with it as the model that it is compared with." for name in single
        ]
    series = [found[1] for one in comparison.contenders if (found := _SEED.match(one.name))]
    for prefix in sorted({prefix for prefix in series if series.count(prefix) > 1}):
        notes.append(f"{prefix}N are seeds of one model: '{prefix}*' in quotes compares over its seeds.")
    return notes


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines, columns one below the other.

    >>> print(aligned([("model", "AUC"), ("a", "0.75000")]))
    model  AUC
    a      0.75000
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def as_facts(comparison: Comparison) -> dict[str, Any]:
    """Return everything that was found as it is written to JSON."""
    return {
        "verdict": headline(comparison),
        "best": comparison.best.name,
        "is_told_apart": comparison.verdict.word != "undecided",
        "metric": comparison.metric,
        "rows": comparison.num_rows,
        "models": [
            {
                "name": one.name,
                "paths": [str(path) for path in one.paths],
                "figures": {name: _figure_facts(of[one.name]) for name, of in comparison.figures.items()},
            }
            for one in comparison.contenders
        ],
        "pairs": [_pair_facts(pair) for pair in comparison.pairs],
    }


def _figure_facts(figure: Figure) -> Mapping[str, Any]:
    found = figure.estimate()
    return {"value": found.value, "low": found.low, "high": found.high, "seeds": list(figure.values)}


def _pair_facts(pair: Pair) -> Mapping[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "metrics": {name: _verdict_facts(found) for name, found in pair.verdicts.items()},
    }


def _verdict_facts(found: Verdict) -> Mapping[str, Any]:
    return {
        "difference": found.difference.value,
        "low": found.difference.low,
        "high": found.difference.high,
        "p_value": found.difference.p_value,
        "p_value_corrected": found.p_value,
        "verdict": found.word,
        "rows_needed": found.rows_needed,
        "seeds_needed": found.seeds_needed,
    }
