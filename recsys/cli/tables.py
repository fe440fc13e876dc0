"""`recsys tables`: what the tables of a configuration cost, or would cost with every scheme, before training."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from recsys.cli.progress import progress_reports
from recsys.config import Config, load_config
from recsys.config.budget import read_budget
from recsys.console import print_table
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.units import format_bytes

if TYPE_CHECKING:
    from recsys.embeddings.costs import BudgetComparison, SchemeCost, VocabularyCost
    from recsys.embeddings.scheme import Phase

__all__ = ["show_tables", "show_what_if"]

PHASES: "tuple[Phase, ...]" = ("training", "checkpoint", "serving")
COLLISIONS = """\
collisions: ids all of whose rows are also those of another id of the feature, so that the model cannot tell them apart;
  - if the vocabulary is open, or training decides which ids become equal"""
PROPOSED = ("unified", "multi_hash", "hash")
"""Schemes to begin with; the first of them within the budget is proposed."""


def show_tables(path: Path, *, data_dir: Path, cache_dir: Path, argv: str) -> None:
    """Print the bytes of every table and the collisions of every feature; the data is prepared if it is not.

    Args:
        path: File of the configuration.
        data_dir: Folder that its paths are relative to.
        cache_dir: Folder of prepared data.
        argv: Configuration and options as they were typed, for the command that is proposed at the end.

    Raises:
        ConfigError: The configuration is not valid, or a table cannot be built as configured.
        DataError: The data cannot be prepared.
    """
    prepared = _prepared(load_config(path), data_dir, cache_dir)
    from recsys.embeddings.costs import table_costs  # not at the top: most mistakes are found without torch

    costs, by_vocabulary = table_costs(prepared.resolved, prepared.state)
    print_table(_sizes(costs))
    print()
    print_table(_collisions(by_vocabulary))
    print(f"\n{COLLISIONS}\n  expected: over random hashes; of values: fraction of the values in the training rows")
    is_open = any(cost.full_bytes is None for cost in costs)
    tenth = f"{sum(cost.bytes['serving'] for cost in costs) // 10}B" if is_open else "0.1"
    print(f"\nall schemes at a tenth of the bytes: recsys tables {argv} --what-if {tenth}")


def show_what_if(path: Path, budget: str, *, data_dir: Path, cache_dir: Path, argv: str) -> None:
    """Print what each scheme makes of a budget for all ids of a configuration in one table, and propose one.

    Args:
        path: File of the configuration.
        budget: "0.1" or "10MB".
        data_dir: Folder that the configuration's paths are relative to.
        cache_dir: Folder of prepared data.
        argv: Configuration and options as they were typed, for the commands that are proposed at the end.

    Raises:
        ConfigError: The configuration or the budget is not valid.
        DataError: The data cannot be prepared.
    """
    allowed = read_budget(budget, where="--what-if")
    prepared = _prepared(load_config(path), data_dir, cache_dir)
    from recsys.embeddings.costs import compare_at_budget

    found = compare_at_budget(prepared.resolved, prepared.state, allowed)
    ids = sum(vocabulary.num_ids or 0 for vocabulary in found.vocabularies)
    size = f"full {format_bytes(found.full_bytes)}" if found.full_bytes is not None else "some are open"
    print(
        f"all ids in one table: {len(found.vocabularies)} vocabularies of {ids:,} ids, dim {found.dim}; "
        f"{size}, budget {format_bytes(found.budget)}\n"
    )
    print_table(_schemes(found, ids))
    print(f"\n{COLLISIONS}\n  (expected; `recsys tables` without --what-if counts them)")
    able = {one.scheme for one in found.schemes if one.bytes}
    scheme = next((name for name in PROPOSED if name in able), None)
    if scheme is None:
        return
    print(f"\nTo begin with, replace the section `tables` with this in {path}:\n")
    keys = f"scheme: {scheme}, budget: {budget}"
    if scheme == "unified" and found.dim % 8 == 0:
        keys += ", probes: 2"  # the same bytes, and hardly any collisions
    print(f'tables:\n  all: {{features: ["*"], {keys}}}\n')
    print(f"recsys tables {argv}    # what it costs, feature by feature\nrecsys train {argv}")


def _prepared(config: Config, data_dir: Path, cache_dir: Path) -> Prepared:
    with progress_reports() as on_progress:
        return prepare(config, data_dir, cache_dir, on_progress)


def _sizes(costs: "list[SchemeCost]") -> Table:
    """Show a line for each table, for each of its schemes if there are several, and the total."""
    shown = _table("table", "scheme", "rows x dim", right=(*PHASES, "of full"))
    for name in dict.fromkeys(cost.table for cost in costs):
        own = [cost for cost in costs if cost.table == name]
        if len(own) == 1:
            shown.add_row(name, own[0].scheme, own[0].rows, *_bytes(own))
            continue
        shown.add_row(name, "", f"{len(own)} parts:", *_bytes(own))
        for cost in own:
            label = "(shared)" if cost.name == name else cost.name.removeprefix(f"{name}/")
            shown.add_row(f"  {label}", cost.scheme, cost.rows, *_bytes([cost]))
    shown.add_row("total", "", "", *_bytes(costs))
    return shown


def _bytes(costs: "list[SchemeCost]") -> list[str]:
    is_open = any(cost.full_bytes is None for cost in costs)
    full = None if is_open else sum(cost.full_bytes or 0 for cost in costs)
    sums = {phase: sum(cost.bytes[phase] for cost in costs) for phase in PHASES}
    return [*(format_bytes(sums[phase]) for phase in PHASES), _percent(sums["serving"], full)]


def _collisions(costs: "list[VocabularyCost]") -> Table:
    """Show a line for each vocabulary."""
    shown = _table("feature", "scheme", right=("width", "ids", "collisions", "expected", "of values"))
    for cost in costs:
        ids, found = cost.num_ids, cost.collisions
        shown.add_row(
            cost.name + (f" (and {_names(cost.sequences)})" if cost.sequences else ""),
            cost.scheme,
            str(cost.width),
            "any" if ids is None else f"{ids:,}",
            _ids(found.ids, ids),
            _ids(found.expected, ids),
            "-" if found.uses is None else f"{found.uses:.1%}",
        )
    return shown


def _names(sequences: tuple[str, ...]) -> str:
    return sequences[0] if len(sequences) == 1 else f"{len(sequences)} sequences"


def _schemes(found: "BudgetComparison", ids: int) -> Table:
    """Show a line for each scheme."""
    shown = _table("scheme", "size", right=("serving", "of full", "training", "collisions"), last="note")
    for one in found.schemes:
        serving = one.bytes.get("serving", one.floor)
        shown.add_row(
            one.scheme,
            one.size or "-",
            ("" if one.bytes else ">= ") + format_bytes(serving) if serving is not None else "-",
            _percent(serving, found.full_bytes),
            format_bytes(one.bytes["training"]) if one.bytes else "-",
            _ids(one.expected_collisions, ids),
            one.note,
        )
    return shown


def _table(*left: str, right: Iterable[str], last: str | None = None) -> Table:
    shown = Table(*left, box=None, pad_edge=False)
    for name in right:
        shown.add_column(name, justify="right")
    if last is not None:
        shown.add_column(last)
    return shown


def _ids(count: float | None, ids: int | None) -> str:
    if count is None or not ids:
        return "-"
    return f"{count:,.0f} ({count / ids:.1%})" if round(count) else "0"


def _percent(size: int | None, full: int | None) -> str:
    return "-" if size is None or not full else f"{size / full:.1%}"
