"""The outputs of a search: configurations of the front and of what else was trained, tables, a picture, the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from recsys.config import load_config
from recsys.config.problems import KeyPath, spell
from recsys.environment import environment_record
from recsys.evaluation.verdict import Verdict
from recsys.files import write_atomic, write_json
from recsys.judging.pareto import can_draw
from recsys.search.candidate import Measured
from recsys.search.feature_lines import FeatureLine
from recsys.search.folder import BASELINE
from recsys.search.pareto import ParetoRow, pareto_csv
from recsys.search.plot import draw
from recsys.search.report import ReportFacts, TrainedModel, report
from recsys.search.session import Session
from recsys.units import format_count

__all__ = ["Findings", "SearchResult", "write_front", "write_outputs"]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The findings of a search, of whatever method."""

    method: str
    """Name of the method, and what it does."""
    baseline: Measured
    best: Measured
    """The trained model to recommend; the baseline, if nothing is better."""
    trained: Sequence[Measured]
    """Points of the front that were trained, and what else was."""
    measured: Sequence[Measured]
    """All candidates."""
    front: Sequence[Measured]
    """Candidates that no other beats, the smallest first; each has its file, by `write_front`."""
    budget: int | None
    """Bytes that were asked for."""
    lines: Sequence[FeatureLine]
    """The tables of the best one, feature by feature."""
    parts: Sequence[str]
    """Names of what the search has spent its time on, in the costs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchResult:
    """The findings of a search, for its caller."""

    folder: Path
    best_yaml: Path
    """The configuration to train."""
    best: Measured
    """The model that was trained from it; the baseline, if nothing can be cut."""
    baseline: Measured
    """The model of the configuration as it was."""
    front: list[Measured]
    """Candidates that no other beats in both bytes and AUC, the smallest first."""


def write_front(session: Session, points: Sequence[Measured]) -> None:
    """Write the configuration of each point of the front, and of what else is to be trained."""
    for one in points:
        session.write_yaml(one.candidate, session.folder.point_yaml(one.name))


def write_outputs(session: Session, found: Findings) -> SearchResult:
    """Write best.yaml, pareto.csv, pareto.png, report.md and result.json; then remove what none of them names."""
    folder = session.folder
    session.write_yaml(found.best.candidate, folder.best_yaml)
    write_atomic(folder.pareto_csv, pareto_csv(_rows(session, found)))
    facts = _facts(session, found)
    if can_draw():
        draw(
            folder.pareto_png,
            candidates=found.measured,
            front=found.front,
            trained=[one for one in found.trained if one.source != found.front[0].source],
            baseline=found.baseline,
            half_widths=_half_widths(facts.trained),
            budget=found.budget,
        )
    write_atomic(folder.report, report(facts))
    write_json(folder.result, _result(facts))
    folder.remove_points({one.name for one in found.measured} - {one.name for one in (*found.front, *found.trained)})
    return SearchResult(
        folder=folder.path,
        best_yaml=folder.best_yaml,
        best=found.best,
        baseline=found.baseline,
        front=list(found.front),
    )


def _rows(session: Session, found: Findings) -> list[ParetoRow]:
    on_front = {one.name for one in found.front}
    with_file = on_front | {one.name for one in found.trained}
    rows = [ParetoRow(found.baseline, {}, on_front=BASELINE in on_front)]
    known = {(one.name, one.source): one for one in (*found.measured, *found.trained) if one.name != BASELINE}
    for one in known.values():
        is_on_front = one.name in on_front and one.source == found.front[0].source
        yaml = str(session.folder.point_yaml(one.name).relative_to(session.folder.path))
        changes = session.changes(one.candidate)
        changes = {key: _from_folder(value, session.folder.path) for key, value in changes.items()}
        rows.append(ParetoRow(one, changes, on_front=is_on_front, yaml=yaml if one.name in with_file else ""))
    return rows


def _from_folder(value: Any, folder: Path) -> Any:
    """Return the path of a file of kept values from the folder of the search, and any other value as it is."""
    prefix = f"{folder.absolute()}/"
    return value.removeprefix(prefix) if isinstance(value, str) else value


def _facts(session: Session, found: Findings) -> ReportFacts:
    folder, clock = session.folder, session.clock
    baseline = session.judge(found.baseline, session.config, "the file as it is")
    trained = []
    for one in found.trained:
        path = folder.point_yaml(one.name)
        trained.append(session.judge(one, load_config(path), str(path.relative_to(folder.path))))
    best = next((model for model in trained if model.measured.name == found.best.name), baseline)
    return ReportFacts(
        title=folder.path.name,
        method=found.method,
        folder=str(folder.path),
        command=session.command,
        data_options=() if session.data_dir == Path() else ("--data-dir", str(session.data_dir)),
        machine=_machine(),
        data=", ".join(f"{split} {rows.num_rows:,} rows" for split, rows in session.prepared.splits.items()),
        baseline=baseline,
        best=best,
        trained=trained,
        front=found.front,
        num_candidates=len(found.measured),
        budget=found.budget,
        lines=found.lines,
        keys={spell(key): value for key, value in session.changes(found.best.candidate).items() if _is_other(key)},
        costs={part: clock.of(part) for part in found.parts},
        baseline_cost=clock.of(BASELINE),
    )


def _is_other(key: KeyPath) -> bool:
    """Return whether a key is not of tables and features, which the report has tables of."""
    return key[0] not in ("tables", "features")


def _half_widths(models: Sequence[TrainedModel]) -> dict[str, float]:
    """Return half the interval of each model's difference to the baseline on the validation rows, where it is known."""
    known = {model.measured.name: one.difference.half_width for model in models if (one := model.verdicts.get("valid"))}
    return {name: half_width for name, half_width in known.items() if not isnan(half_width)}


def _machine() -> str:
    machine = environment_record()
    cpu = machine["cpu"]
    return f"{cpu['model']}, {format_count(cpu['cores'], 'core')}{''.join(f', {gpu}' for gpu in machine['gpus'])}"


def _result(facts: ReportFacts) -> dict[str, object]:
    """Return the figures for scripts."""
    return {
        "best": _figures(facts.best),
        "baseline": _figures(facts.baseline),
        "trained": [_figures(model) for model in facts.trained],
        "front": [one.name for one in facts.front],
        "budget": facts.budget,
        "costs": {name: cost._asdict() for name, cost in facts.costs.items()},
        "baseline_cost": facts.baseline_cost._asdict(),
    }


def _figures(model: TrainedModel) -> dict[str, object]:
    measured = model.measured
    return {
        "name": measured.name,
        "serving_bytes": measured.serving_bytes,
        "training_bytes": measured.training_bytes,
        "auc": dict(model.aucs),
        "differences": {split: _difference(found) for split, found in model.verdicts.items()},
    }


def _difference(found: Verdict) -> dict[str, object]:
    of = found.difference
    return {
        "difference": of.value,
        "low": of.low,
        "high": of.high,
        "p_value": found.p_value,
        "verdict": found.word,
    }
