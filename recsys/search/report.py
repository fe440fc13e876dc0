"""report.md: what a search has cut and why, what that saves, and what the search has cost."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recsys.evaluation.verdict import Verdict, describe_difference
from recsys.files import to_json
from recsys.judging.pareto import MISSING, can_draw
from recsys.search.candidate import Measured
from recsys.search.costs import Cost
from recsys.search.feature_lines import FeatureLine
from recsys.search.yardstick import is_yardstick
from recsys.units import format_bytes, format_count, format_duration

__all__ = ["ReportFacts", "TrainedModel", "report"]

MOST_NAMES = 8
"""Features that the summary names."""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model that was trained from a file of the search, or from the user's."""

    measured: Measured
    yaml: str
    """Path of its file in the folder of the search."""
    aucs: Mapping[str, float]
    """AUC of each split."""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    """The verdict on its AUC and that of the baseline, by split."""


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """Everything that the report says."""

    title: str
    method: str
    """Name of the method, and what it does."""
    folder: str
    """Folder of the search, as the user writes it."""
    command: str
    """Command line that makes it again."""
    data_options: Sequence[str] = ()
    """Options by which a training finds the same data."""
    machine: str
    data: str
    """Rows of the splits."""
    baseline: TrainedModel
    best: TrainedModel
    trained: Sequence[TrainedModel]
    """Models that were trained from files of the search."""
    front: Sequence[Measured]
    """Candidates that no other beats, the smallest first."""
    num_candidates: int
    budget: int | None
    lines: Sequence[FeatureLine]
    keys: Mapping[str, Any]
    """Other keys that best.yaml sets, by their paths."""
    costs: Mapping[str, Cost]
    """Time of each part of the search: "supernet", "candidates", ..."""
    baseline_cost: Cost
    """Time of the training of the user's configuration."""


def report(facts: ReportFacts) -> str:
    """Return the report as Markdown."""
    parts = [_summary(facts), _features(facts.lines), _front(facts), _costs(facts), _method(facts)]
    return "\n\n".join(parts) + "\n"


def _summary(facts: ReportFacts) -> str:
    best, baseline = facts.best, facts.baseline
    before, after = baseline.measured.serving_bytes, best.measured.serving_bytes
    lines = [f"# What the tables of {facts.title} are worth", ""]
    if best.measured.name == baseline.measured.name:
        lines.append(f"**Keep your file as it is** (tables of {format_bytes(before)}). {_why_nothing(facts)}")
    else:
        size = f"the tables take {format_bytes(after)} in place of {format_bytes(before)} ({after / before:.1%})"
        size = size if after != before else f"the tables take {format_bytes(after)} as before"
        lines.append(f"**Train `best.yaml`: {size}.** {_verdict(best, baseline)}{_against_uniform(facts)}")
        keys = [f"- `{key}`: {to_json(value)}" for key, value in facts.keys.items()]
        lines += ["", *_cuts(facts.lines), *_idle(facts.lines), *keys, "", f"    {_train_command(facts, 'best.yaml')}"]
    lines += ["", "![AUC against bytes](pareto.png)" if can_draw() else MISSING]
    return "\n".join(lines)


def _train_command(facts: ReportFacts, yaml: str) -> str:
    return shlex.join(["recsys", "train", f"{facts.folder}/{yaml}", *facts.data_options])


def _why_nothing(facts: ReportFacts) -> str:
    """Say why none of the candidates is recommended."""
    before = facts.baseline.measured.serving_bytes
    smaller = [one for one in facts.front if one.serving_bytes < before]
    larger = [one for one in facts.front if one.serving_bytes > before]
    words = [f"{format_count(facts.num_candidates, 'candidate')} were tried."]
    if smaller:
        words.append("Those with smaller tables are significantly worse on the validation rows.")
    if larger:
        words.append("Those with larger tables are not significantly better.")
    if not (smaller or larger):
        words.append("None has a higher validation AUC.")
    return " ".join([*words, *(["Ask for a budget to see what the best tables of that size are."] * bool(smaller))])


def _verdict(best: TrainedModel, baseline: TrainedModel) -> str:
    split = "test" if "test" in best.aucs else "valid"
    words = "test" if split == "test" else "validation"
    text = f"The {words} AUC of that model is {best.aucs[split]:.4f}, that of yours {baseline.aucs[split]:.4f}"
    found = best.verdicts.get(split)
    return f"{text}." if found is None else f"{text}; {found.claim('it', 'yours')}: {_difference(found)}."


def _against_uniform(facts: ReportFacts) -> str:
    """Return what one width for all tables reaches within the budget, if it was trained."""
    uniform = next((one for one in facts.trained if is_yardstick(one.measured.name)), None)
    if uniform is None:
        return ""
    if uniform.measured.name == facts.best.measured.name:
        return " It has one width for all tables: nothing that was found within the budget is better."
    size = format_bytes(uniform.measured.serving_bytes)
    split = "test" if "test" in uniform.aucs else "valid"
    return f" One width for all tables (`{uniform.measured.name}`, {size}) reaches {uniform.aucs[split]:.4f}."


def _difference(found: Verdict) -> str:
    return describe_difference(found.difference)


def _cuts(lines: Sequence[FeatureLine]) -> list[str]:
    """Return in a line each what was dropped, made narrower, and lost rows."""
    changed = [line for line in lines if line.is_changed]
    dropped = [line for line in changed if line.is_dropped]
    fewer = [line for line in changed if line.rows is not None]
    narrower = [line for line in changed if line not in (*dropped, *fewer)]
    return [
        f"- {what}: {_names(found)} (saves {format_bytes(sum(line.saved for line in found))})"
        for what, found in (("dropped", dropped), ("fewer ids", fewer), ("other widths or precision", narrower))
        if found
    ]


def _idle(lines: Sequence[FeatureLine]) -> list[str]:
    """Return in a line which features are still there although the validation rows would not miss them alone."""
    idle = [line for line in lines if line.bytes_after and line.drop is not None and line.drop.auc >= 0]
    idle.sort(key=lambda line: -line.bytes_after)
    size = format_bytes(sum(line.bytes_after for line in idle))
    return [f"- kept, but dropping one of them costs no validation AUC: {_names(idle)} ({size})"] if idle else []


def _names(lines: Sequence[FeatureLine]) -> str:
    named = [f"`{line.name}`" for line in lines[:MOST_NAMES]]
    more = len(lines) - len(named)
    return ", ".join([*named, f"{more} more"] if more else named)


def _features(lines: Sequence[FeatureLine]) -> str:
    header = ("feature", "ids", "uses in training", "width", "becomes", "ids left", "bytes", "become", "dropping it")
    rows = [
        (
            f"`{line.name}`",
            "" if line.num_ids is None else f"{line.num_ids:,}",
            "" if line.uses is None else f"{line.uses:,}",
            line.before,
            "as it is" if not line.is_changed else line.after,
            "" if line.rows is None else f"{line.rows:,}",
            format_bytes(line.bytes_before),
            format_bytes(line.bytes_after),
            "" if line.drop is None else f"{line.drop.auc:+.4f} AUC, {line.drop.logloss:+.4f} logloss",
        )
        for line in lines
    ]
    parts = ["## Feature by feature", _table(header, rows), *([_DROPPING] if any(line.drop for line in lines) else [])]
    return "\n\n".join(parts)


_DROPPING = (
    "Dropping it: change of the validation metrics if this feature alone is taken from the supernet, with nothing "
    "trained again. Features that say the same stand in for each other, so that the changes do not add up."
)


def _front(facts: ReportFacts) -> str:
    by_name = {model.measured.name: model for model in facts.trained}
    full = facts.baseline.measured.serving_bytes
    header = (
        "point",
        "bytes",
        "of all",
        "AUC on the supernet",
        "AUC when trained",
        "test AUC",
        "difference to yours",
        "file",
    )
    own = facts.baseline.measured
    rows = [_point(f"{own.name} (as it is)", own, None, facts.baseline, full)]
    for one in [one for one in reversed(_points(facts)) if one.name != own.name]:
        model = by_name.get(one.name)
        name = f"**{one.name}**" if one.name == facts.best.measured.name else one.name
        rows.append(_point(name, one, one if one.source == "supernet" else None, model, full))
    others = ", or were trained" if _has_supernet(facts) else ""
    budget = "" if facts.budget is None else f" The budget is {format_bytes(facts.budget)}."
    masked = (
        " That of the supernet under masks is to compare candidates by; what a point is worth shows when it is trained."
    )
    return (
        f"## Points to choose from\n\n{format_count(facts.num_candidates, 'candidate')} were measured on the "
        f"validation rows (`pareto.csv`); these are not beaten in both bytes and AUC{others}.{budget}\n\n"
        f"{_table(header, rows)}\n\nAUCs are those of the validation rows, unless they say test; the difference is "
        f"that of the test rows, if there are any.{masked if _has_supernet(facts) else ''} To take another point: "
        f"`{_train_command(facts, 'front/NAME.yaml')}`; `--retrain N` trains and compares those next to the best."
    )


def _points(facts: ReportFacts) -> list[Measured]:
    """Return the front and what else was trained, the smallest first."""
    names = {one.name for one in facts.front}
    others = [model.measured for model in facts.trained if model.measured.name not in names]
    return sorted([*facts.front, *others], key=lambda one: one.serving_bytes)


def _has_supernet(facts: ReportFacts) -> bool:
    return any(one.source == "supernet" for one in facts.front)


def _point(name: str, one: Measured, scored: Measured | None, model: TrainedModel | None, full: int) -> tuple[str, ...]:
    split = "test" if model is not None and "test" in model.aucs else "valid"
    found = None if model is None else model.verdicts.get(split)
    return (
        name,
        format_bytes(one.serving_bytes),
        f"{one.serving_bytes / full:.1%}" if full else "",
        "" if scored is None else f"{scored.auc:.4f}",
        f"{model.aucs['valid']:.4f}" if model is not None else "" if scored is not None else f"{one.auc:.4f}",
        "" if model is None or "test" not in model.aucs else f"{model.aucs['test']:.4f}",
        "" if found is None else _difference(found),
        f"front/{one.name}.yaml" if model is None else model.yaml,
    )


def _costs(facts: ReportFacts) -> str:
    search = Cost()
    for cost in facts.costs.values():
        search = search.plus(cost)
    header = ("part", "time", "CPU time", "in trainings", "by CPU time")
    one = facts.baseline_cost
    rows = [_cost("one training, as it is", one, one)]
    rows += [_cost(name, cost, one) for name, cost in facts.costs.items()]
    rows.append(_cost("**the search**", search, one))
    note = "\n\nTraining the points that were chosen is not counted." if _has_supernet(facts) else ""
    return f"## What it cost\n\n{_table(header, rows)}{note}"


def _cost(name: str, cost: Cost, one: Cost) -> tuple[str, ...]:
    shares = (f"{a / b:.2f}" if b else "" for a, b in zip(cost, one, strict=True))
    return (name, format_duration(cost.seconds), format_duration(cost.cpu_seconds), *shares)


def _method(facts: ReportFacts) -> str:
    return (
        "## How it was found\n\n"
        f"- method: {facts.method}\n"
        f"- data: {facts.data}. Everything was chosen by the validation rows; the test rows were scored once, at the "
        "end. The chosen point is the best of many on the validation rows, where its AUC is therefore slightly lucky\n"
        f"- machine: {facts.machine}\n"
        f"- made by `{facts.command}`; the same command goes on after an interruption\n"
        "- models cannot be told apart if the 95 % interval of their difference (DeLong, paired by rows) holds 0; it "
        "does not know that training with another seed gives another model\n"
        "- bytes are those of the tables as they are served, the numbers of `recsys tables`"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
