"""report.md and results.csv."""

import csv
import io
from dataclasses import asdict, fields
from math import nan
from typing import NamedTuple

from recsys.config.schemes import SCHEMES
from recsys.scheme_benchmark.plot import MISSING, can_draw
from recsys.scheme_benchmark.result import Result
from recsys.scheme_benchmark.statistics import NEAR, Candidate, Estimate, Recommendation, recommend
from recsys.scheme_benchmark.table import Comparison, Line
from recsys.scheme_benchmark.variants import all_variants
from recsys.units import format_bytes, format_count

__all__ = ["COLUMNS", "Facts", "advice", "report", "results_csv"]

COLUMNS = ["cell", "budgets", *(field.name for field in fields(Result) if field.name != "cell")]
HEADER = (
    "scheme",
    "knob",
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


class Facts(NamedTuple):
    """What the report says about the comparison as a whole."""

    title: str
    data: str
    """Rows and positives of the split that is reported."""
    model: str
    machine: str
    command: str


def results_csv(comparison: Comparison) -> str:
    """Return a line for each cell that has a result."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for cell in comparison.grid.cells():
        result = comparison.results.get(cell.name)
        if result is not None:
            at = [e.budget for e in comparison.grid.entries if e.budget and cell in e.cells([cell.seed])]
            writer.writerow({**asdict(result), "budgets": ";".join(at)})
    return text.getvalue()


def report(comparison: Comparison, facts: Facts) -> str:
    """Return the page as Markdown."""
    budgets = list(dict.fromkeys((e.budget, e.allowed) for e in comparison.grid.entries if e.budget is not None))
    parts = [_head(comparison, facts)]
    if not budgets and (full := comparison.full()) is not None:
        parts.append(_table(comparison, [full]))
    parts += [_budget(comparison, budget, allowed) for budget, allowed in budgets]
    parts += [_never_run(comparison), _failed(comparison), _method(comparison)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(comparison: Comparison, facts: Facts) -> str:
    cells = comparison.grid.cells()
    done = [comparison.results[cell.name].status for cell in cells if cell.name in comparison.results]
    missing = len(cells) - len(done)
    state = f"{done.count('done')} of {len(cells)} cells are trained" if missing else f"All {len(cells)} cells are done"
    failures = done.count("failed")
    state += f", {failures} failed" if failures else ""
    seeds = f"seed{'s' if len(comparison.grid.seeds) > 1 else ''} {', '.join(map(str, comparison.grid.seeds))}"
    return "\n".join(
        [
            f"# Schemes compared: {facts.title}",
            "",
            f"{state}. Figures are those of {facts.data}, for the epoch that was best on the validation split.",
            "",
            f"- model: {facts.model}; all features with ids in one table, {seeds}",
            f"- the full table: {format_bytes(comparison.grid.full_bytes)}",
            f"- machine: {facts.machine}",
            f"- made by `{facts.command}`",
            "",
            "![AUC against bytes](pareto.png)" if can_draw() else MISSING,
        ]
    )


def _budget(comparison: Comparison, budget: str | None, allowed: int | None) -> str:
    lines = comparison.lines(budget)
    full = comparison.full()
    size = f" ({format_bytes(allowed)})" if allowed is not None and budget != f"{allowed} B" else ""
    parts = [f"## Budget {budget}{size}"]
    if lines:
        parts += [advice(_recommended(comparison, lines)), _table(comparison, [full, *lines] if full else lines)]
    unreachable = [e for e in comparison.grid.entries if e.budget == budget and e.spec is None]
    if not lines and not unreachable:
        parts.append("Nothing is trained yet.")
    if unreachable:
        parts.append("Not run, since they cannot keep to it:")
        parts.append("\n".join(f"- {entry.variant}: {entry.reason}" for entry in unreachable))
    return "\n\n".join(parts)


def _recommended(comparison: Comparison, lines: list[Line]) -> Recommendation:
    by_name = {line.scheme: line for line in lines}

    def difference(first: str, second: str) -> Estimate:
        one, other = by_name[first], by_name[second]
        return comparison.difference(one, other) or Estimate(one.auc.value - other.auc.value, nan)

    return recommend([_candidate(line) for line in lines], difference)


def _candidate(line: Line) -> Candidate:
    stages = SCHEMES[all_variants()[line.scheme].scheme].num_stages
    return Candidate(line.scheme, line.auc.value, stages, line.rows_per_second, line.lookup_ms)


def advice(found: Recommendation) -> str:
    """Return the recommendation in words."""
    best, choice = found.ranking[0], found.choice
    text = [f"**Take {choice.name}** (AUC {choice.auc:.4f})."]
    if found.lead is None:
        return f"{text[0]} It is the only one that was trained."
    place = "inside the noise" if found.lead.is_noise else "outside the noise"
    owner = "Its" if best is choice else f"The best AUC is {best.auc:.4f}, of {best.name}; its"
    text.append(f"{owner} lead over {found.ranking[1].name}, the next, is {found.lead}: {place}.")
    if len(found.equals) > 1:
        names = ", ".join(one.name for one in found.equals)
        text.append(f"These cannot be told from the best: {names}. {_why(found)}")
    return " ".join(text)


def _why(found: Recommendation) -> str:
    choice = found.choice
    return (
        f"Of them {choice.name} is the simplest: {format_count(choice.stages, 'stage')} of training, "
        f"{choice.rows_per_second:,.0f} rows/s, "
        f"{choice.lookup_ms:.2f} ms a lookup."
    )


def _table(comparison: Comparison, lines: list[Line]) -> str:
    full = comparison.full()
    rows = [HEADER, ("---",) * len(HEADER), *(_row(comparison, line, full) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(comparison: Comparison, line: Line, full: Line | None) -> tuple[str, ...]:
    first = line.results[0]
    is_full = full is not None and line.scheme == full.scheme
    difference = comparison.difference(line, full) if full is not None and not is_full else None
    of_full = line.serving_bytes / comparison.grid.full_bytes if comparison.grid.full_bytes else None
    rate = f"{line.rows_per_second:,.0f}"
    if full is not None and not is_full:
        rate += f" ({line.rows_per_second / full.rows_per_second:.2f} x full)"
    return (
        f"{line.scheme} (reference)" if is_full else line.scheme,
        "" if first.knob is None else f"{first.knob} {shown(first.value or 0)}",
        format_bytes(round(line.serving_bytes)),
        "" if of_full is None else f"{of_full:.3g}",
        f"{line.auc}".removeprefix("+"),
        "" if difference is None else str(difference),
        f"{line.logloss:.4f}",
        rate,
        f"{line.lookup_ms:.2f}",
        f"{line.best_epoch:.3g}",
        f"{len(line.results)} of {len(comparison.grid.seeds)}",
    )


def shown(value: float) -> str:
    """Write the value of a knob.

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
    lines = [f"- {result.cell}: {result.reason}" for result in failed]
    head = "## What failed\n\nDelete cells/NAME.json to train one again; what it printed is in cells/NAME/log.txt.\n\n"
    return head + "\n".join(lines)


def _method(comparison: Comparison) -> str:
    seeds = len(comparison.grid.seeds)
    spread = (
        "and the spread of the seeds over the root of their number, added as variances (Student's t)"
        if seeds > 1
        else "alone, since with one seed the spread of trainings is not known: real intervals are wider"
    )
    valid = " The validation split also chose the best epoch, so its AUCs are a little too good."
    return (
        "## How to read it\n\n"
        "+- is half of a 95 % interval: the error that comes from the sample of rows (DeLong's; paired for "
        f"differences, which are therefore far surer than the AUCs) {spread}. Each interval is for one comparison: of "
        f"many schemes the best one is also a little lucky.{valid if comparison.split == 'valid' else ''}\n\n"
        "A difference is inside the noise if its interval holds 0. The recommendation is, of the schemes whose "
        "distance to the best is inside the noise, the simplest: the fewest stages of training; of these, those that "
        f"train at {NEAR:.0%} of the fastest one's rate or more; of these, the lowest lookup time. Bytes are those of "
        "the form that is exported; a lookup is that form for the ids of 4,096 rows on one thread. Rates and times "
        "hold for this machine and whatever else it did meanwhile."
    )
