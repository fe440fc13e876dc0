"""report.md and results.csv: the result of a comparison for people and for programs."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, fields
from math import nan
from typing import NamedTuple

from recsys.evaluation.metrics import metric_label
from recsys.evaluation.seeds import Estimate
from recsys.judging.pareto import MISSING, can_draw
from recsys.scheme_benchmark.comparison import Comparison, SchemeSummary
from recsys.scheme_benchmark.recommendation import SIMILAR_RATE, RankedScheme, Recommendation, recommend
from recsys.scheme_benchmark.result import Result
from recsys.scheme_benchmark.variants import SearchVariant, known_variants
from recsys.units import format_bytes, format_count

__all__ = ["COLUMNS", "ReportHeader", "advice", "report", "results_csv"]

COLUMNS = [
    "cell",
    "budgets",
    *(field.name for field in fields(Result) if field.name not in ("cell", "other_metrics", "retry")),
]
HEADER = (
    "scheme",
    "size",
    "bytes",
    "of full",
    "AUC",
    "difference to full",
    "logloss",
    "training rows/s",
    "lookup ms",
    "best epoch",
    "seeds",
)


class ReportHeader(NamedTuple):
    """Facts about the comparison as a whole, in words."""

    title: str
    data: str
    """The reported split, its rows and positives."""
    model: str
    machine: str
    command: str


def results_csv(comparison: Comparison) -> str:
    """Return a CSV with a line for each cell that has a result."""
    text = io.StringIO()
    others = _other_metrics(comparison.results.values())
    writer = csv.DictWriter(text, [*COLUMNS, *others], lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for cell in comparison.grid.cells():
        result = comparison.results.get(cell.name)
        if result is not None:
            at = [e.budget for e in comparison.grid.entries if e.budget and cell in e.cells([cell.seed])]
            figures = asdict(result)
            writer.writerow(figures.pop("other_metrics") | figures | {"budgets": ";".join(at)})
    return text.getvalue()


def _other_metrics(results: Iterable[Result | SchemeSummary]) -> list[str]:
    """Return the names of the metrics, other than AUC and log loss, that results have."""
    return list(dict.fromkeys(name for result in results for name in result.other_metrics))


def report(comparison: Comparison, header: ReportHeader) -> str:
    """Return the report as Markdown."""
    budgets = list(dict.fromkeys((e.budget, e.allowed) for e in comparison.grid.entries if e.budget is not None))
    parts = [_head(comparison, header)]
    if not budgets and (full := comparison.full()) is not None:
        parts.append(_table(comparison, [full]))
    parts += [_budget(comparison, budget, allowed) for budget, allowed in budgets]
    parts += [_never_run(comparison), _failed(comparison), _method(comparison)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(comparison: Comparison, header: ReportHeader) -> str:
    cells = comparison.grid.cells()
    done = [comparison.results[cell.name].status for cell in cells if cell.name in comparison.results]
    missing = len(cells) - len(done)
    state = f"{done.count('done')} of {len(cells)} cells are trained" if missing else f"All {len(cells)} cells are done"
    failures = done.count("failed")
    state += f", {failures} failed" if failures else ""
    seeds = f"seed{'s' if len(comparison.grid.seeds) > 1 else ''} {', '.join(map(str, comparison.grid.seeds))}"
    return "\n".join(
        [
            f"# Schemes compared: {header.title}",
            "",
            f"{state}. Figures are those of {header.data}, for the epoch that was best on the validation split.",
            "",
            f"- model: {header.model}; all features with ids in one table, {seeds}",
            f"- the full table: {format_bytes(comparison.grid.full_bytes)}",
            f"- machine: {header.machine}",
            f"- made by `{header.command}`",
            "",
            "![AUC against bytes](pareto.png)" if can_draw() else MISSING,
        ]
    )


def _budget(comparison: Comparison, budget: str | None, allowed: int | None) -> str:
    summaries = comparison.summaries(budget)
    full = comparison.full()
    size = f" ({format_bytes(allowed)})" if allowed is not None and budget != f"{allowed} B" else ""
    parts = [f"## Budget {budget}{size}"]
    if summaries:
        parts += [
            advice(_recommended(comparison, summaries)),
            _table(comparison, [full, *summaries] if full else summaries),
        ]
    unreachable = [e for e in comparison.grid.entries if e.budget == budget and e.spec is None]
    if not summaries and not unreachable:
        parts.append("Nothing is trained yet.")
    if unreachable:
        parts.append("Not trained, because they cannot be made this small:")
        parts.append("\n".join(f"- {entry.variant}: {entry.reason}" for entry in unreachable))
    return "\n\n".join(parts)


def _recommended(comparison: Comparison, summaries: list[SchemeSummary]) -> Recommendation:
    by_name = {summary.scheme: summary for summary in summaries}

    def difference(first: str, second: str) -> Estimate:
        one, other = by_name[first], by_name[second]
        return comparison.difference(one, other) or Estimate(one.auc.value - other.auc.value, nan)

    rows = comparison.num_rows(summaries[0]) if len(summaries) > 1 else 0
    seeds = min(len(summary.results) for summary in summaries)
    return recommend([_rank(summary) for summary in summaries], difference, rows=rows, seeds=seeds)


def _rank(summary: SchemeSummary) -> RankedScheme:
    stages = known_variants()[summary.scheme].num_stages
    return RankedScheme(summary.scheme, summary.auc.value, stages, summary.rows_per_second, summary.lookup_ms)


def advice(found: Recommendation) -> str:
    """Return the recommendation in words: what is recommended, the lead of the best scheme, and why."""
    best, choice = found.ranking[0], found.choice
    text = [f"**Recommended: {choice.name}** (AUC {choice.auc:.4f})."]
    if found.lead is None:
        return f"{text[0]} It is the only scheme that was trained."
    if best is not choice:
        text.append(f"The best AUC is {best.auc:.4f} ({best.name}).")
    told = found.lead.what_would_tell()
    text += [f"{found.lead.sentence(best.name, found.ranking[1].name)}.", *([f"{told}."] if told else [])]
    if len(found.contenders) > 1:
        names = ", ".join(one.name for one in found.contenders)
        text.append(f"Not to be told apart from the best: {names}. {_why(found)}")
    return " ".join(text)


def _why(found: Recommendation) -> str:
    choice = found.choice
    return (
        f"Of them {choice.name} is the simplest: {format_count(choice.num_stages, 'stage')} of training, "
        f"{choice.rows_per_second:,.0f} rows/s, {choice.lookup_ms:.2f} ms per lookup."
    )


def _table(comparison: Comparison, summaries: list[SchemeSummary]) -> str:
    full = comparison.full()
    others = _other_metrics(summaries)
    at = HEADER.index("logloss") + 1
    header = (*HEADER[:at], *(metric_label(name) for name in others), *HEADER[at:])
    rows = [header, ("---",) * len(header), *(_row(comparison, summary, full, others) for summary in summaries)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(
    comparison: Comparison, summary: SchemeSummary, full: SchemeSummary | None, others: list[str]
) -> tuple[str, ...]:
    first = summary.results[0]
    is_full = full is not None and summary.scheme == full.scheme
    difference = comparison.difference(summary, full) if full is not None and not is_full else None
    of_full = summary.serving_bytes / comparison.grid.full_bytes if comparison.grid.full_bytes else None
    rate = f"{summary.rows_per_second:,.0f}"
    if full is not None and not is_full:
        rate += f" ({summary.rows_per_second / full.rows_per_second:.2f} x full)"
    return (
        f"{summary.scheme} (reference)" if is_full else summary.scheme,
        "" if first.size_param is None else f"{first.size_param} {shown(first.size_value or 0)}",
        format_bytes(round(summary.serving_bytes)),
        "" if of_full is None else f"{of_full:.3g}",
        f"{summary.auc}".removeprefix("+"),
        "" if difference is None else str(difference),
        f"{summary.logloss:.4f}",
        *(f"{summary.other_metrics[name]:.4f}" if name in summary.other_metrics else "" for name in others),
        rate,
        f"{summary.lookup_ms:.2f}",
        f"{summary.best_epoch:.3g}",
        f"{len(summary.results)} of {len(comparison.grid.seeds)}",
    )


def shown(value: float) -> str:
    """Return the value of a size for people.

    >>> shown(12345), shown(0.18382352941)
    ('12,345', '0.1838')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _never_run(comparison: Comparison) -> str:
    entry = next((e for e in comparison.grid.entries if e.budget is None and e.spec is None), None)
    return "" if entry is None else f"The full table was not trained: {entry.reason}."


def _failed(comparison: Comparison) -> str:
    cells = [comparison.results.get(cell.name) for cell in comparison.grid.cells()]
    failed = [result for result in cells if result is not None and result.status == "failed"]
    if not failed:
        return ""
    summaries = [f"- {result.cell}: {result.reason}" for result in failed]
    head = "## What failed\n\nDelete cells/NAME.json to train one again; what it printed is in cells/NAME/log.txt.\n\n"
    return head + "\n".join(summaries)


def _method(comparison: Comparison) -> str:
    seeds = len(comparison.grid.seeds)
    spread = (
        "and the standard error over the seeds, added as variances (Student's t)"
        if seeds > 1
        else "alone, since one seed does not show the variance of training: real intervals are wider"
    )
    valid = " The validation split also chose the best epoch, so its AUCs are slightly too good."
    return (
        "## How to read it\n\n"
        f"{_searches(comparison)}"
        "+- is half the width of a 95 % interval: the sampling error of the rows (DeLong; paired for differences, "
        f"which are therefore far more precise than the AUCs) {spread}. Each interval is for one comparison: the best "
        f"of many schemes is also slightly lucky.{valid if comparison.split == 'valid' else ''}\n\n"
        "Schemes are told apart from the best one by p values that are corrected for their number (Holm). The "
        "recommended scheme is the simplest of those that cannot be told apart from it: the fewest stages of training; "
        f"of these, those that train at {SIMILAR_RATE:.0%} of the fastest one's rate or more; of these, the lowest "
        "lookup time. Bytes are those of "
        "the exported form; a lookup is that form for the ids of 4,096 rows on one thread. Rates and times are those "
        "of this machine, with whatever else it was doing."
    )


def _searches(comparison: Comparison) -> str:
    """Say what the searches among the variants are."""
    known = known_variants()
    names = [name for name in dict.fromkeys(e.variant for e in comparison.grid.entries) if name in known]
    searches = [name for name in names if isinstance(known[name], SearchVariant)]
    if not searches:
        return ""
    return (
        f"{', '.join(searches)}: a search that starts from a full table for each feature. `cells/NAME/tables.yaml` is "
        "the configuration that it found, and the figures are those of its training; the search took time of its "
        "own.\n\n"
    )
