"""`recsys tables`: what the tables of a config cost, or would cost under every scheme, before anything is trained."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from recsys.cli.progress import progress_reports
from recsys.config import Config, load_config
from recsys.config.budget import read_budget
from recsys.console import print_table
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.units import format_bytes

if TYPE_CHECKING:
    from recsys.embeddings.report import Part, Use, WhatIf
    from recsys.embeddings.scheme import Phase

__all__ = ["show_tables", "show_what_if"]

PHASES: "tuple[Phase, ...]" = ("training", "checkpoint", "serving")
SHARING = """\
sharing: ids that share all of their rows with another id of the feature, so that they are one to the model;
  - where the vocabulary is open, or training decides which ids become alike"""
PROPOSED = ("unified", "multi_hash", "hash")
"""Schemes to begin with: the first of these that can be built."""


def show_tables(path: Path, *, data_dir: Path, cache_dir: Path, argv: str) -> None:
    """Prepare the data if it is not, and print the bytes of every table and which ids share their rows.

    Args:
        path: of the config.
        data_dir: what its paths are relative to.
        cache_dir: where prepared data is kept.
        argv: config and options as they were typed, for the command that is proposed at the end.

    Raises:
        ConfigError: the config is not valid, or a table cannot be built as it says.
        DataError: as in preparing.
    """
    prepared = _prepared(load_config(path), data_dir, cache_dir)
    from recsys.embeddings.report import report  # not at the top: most mistakes are found without torch

    parts, uses = report(prepared.resolved, prepared.state)
    print_table(_sizes(parts))
    print()
    print_table(_uses(uses))
    print(f"\n{SHARING}\n  expected: by the laws of chance; of uses: of the feature's values in the training rows")
    is_open = any(part.full is None for part in parts)
    tenth = f"{sum(part.bytes['serving'] for part in parts) // 10}B" if is_open else "0.1"
    print(f"\nall schemes at a tenth of the bytes: recsys tables {argv} --what-if {tenth}")


def show_what_if(path: Path, budget: str, *, data_dir: Path, cache_dir: Path, argv: str) -> None:
    """Print what each scheme makes of a budget for all ids of a config in one table, and one to begin with.

    Args:
        path: of the config.
        budget: "0.1" or "10MB".
        data_dir: what the config's paths are relative to.
        cache_dir: where prepared data is kept.
        argv: config and options as they were typed, for the commands that are proposed at the end.

    Raises:
        ConfigError: the config or the budget is not valid.
        DataError: as in preparing.
    """
    allowed = read_budget(budget, where="--what-if")
    prepared = _prepared(load_config(path), data_dir, cache_dir)
    from recsys.embeddings.report import what_if

    found = what_if(prepared.resolved, prepared.state, allowed)
    ids = sum(vocabulary.num_ids or 0 for vocabulary in found.vocabularies)
    size = f"full {format_bytes(found.full)}" if found.full is not None else "some are open"
    print(
        f"all ids in one table: {len(found.vocabularies)} vocabularies of {ids:,} ids, dim {found.dim}; "
        f"{size}, budget {format_bytes(found.budget)}\n"
    )
    print_table(_candidates(found, ids))
    print(f"\n{SHARING}\n  (expected; `recsys tables` without --what-if counts them)")
    able = {one.scheme for one in found.candidates if one.bytes}
    scheme = next((name for name in PROPOSED if name in able), None)
    if scheme is None:
        return
    print(f"\nTo begin with, put this in the place of the section `tables` of {path}:\n")
    keys = f"scheme: {scheme}, budget: {budget}"
    if scheme == "unified" and found.dim % 8 == 0:
        keys += ", probes: 2"  # the same bytes, and hardly an id that shares both of its rows
    print(f'tables:\n  all: {{features: ["*"], {keys}}}\n')
    print(f"recsys tables {argv}    # what it costs, feature by feature\nrecsys train {argv}")


def _prepared(config: Config, data_dir: Path, cache_dir: Path) -> Prepared:
    with progress_reports() as on_progress:
        return prepare(config, data_dir, cache_dir, on_progress)


def _sizes(parts: "list[Part]") -> Table:
    """Show a line for each table, its parts below it, and all of them."""
    shown = _table("table", "scheme", "rows x dim", right=(*PHASES, "of full"))
    for name in dict.fromkeys(part.table for part in parts):
        own = [part for part in parts if part.table == name]
        if len(own) == 1:
            shown.add_row(escape(name), own[0].scheme, own[0].rows, *_bytes(own))
            continue
        shown.add_row(escape(name), "", f"{len(own)} parts:", *_bytes(own))
        for part in own:
            label = "(shared)" if part.name == name else part.name.removeprefix(f"{name}/")
            shown.add_row(f"  {escape(label)}", part.scheme, part.rows, *_bytes([part]))
    shown.add_row("total", "", "", *_bytes(parts))
    return shown


def _bytes(parts: "list[Part]") -> list[str]:
    full = None if any(part.full is None for part in parts) else sum(part.full or 0 for part in parts)
    sums = {phase: sum(part.bytes[phase] for part in parts) for phase in PHASES}
    return [*(format_bytes(sums[phase]) for phase in PHASES), _share(sums["serving"], full)]


def _uses(uses: "list[Use]") -> Table:
    """Show a line for each vocabulary."""
    shown = _table("feature", "scheme", right=("width", "ids", "sharing", "expected", "of uses"))
    for use in uses:
        ids, found = use.num_ids, use.sharing
        shown.add_row(
            escape(use.name + (f" (and {_names(use.sequences)})" if use.sequences else "")),
            use.scheme,
            str(use.width),
            "any" if ids is None else f"{ids:,}",
            _ids(found.ids, ids),
            _ids(found.expected, ids),
            "-" if found.uses is None else f"{found.uses:.1%}",
        )
    return shown


def _names(sequences: tuple[str, ...]) -> str:
    return sequences[0] if len(sequences) == 1 else f"{len(sequences)} sequences"


def _candidates(found: "WhatIf", ids: int) -> Table:
    """Show a line for each scheme."""
    shown = _table("scheme", "setting", right=("serving", "of full", "training", "sharing"), last="note")
    for one in found.candidates:
        serving = one.bytes.get("serving", one.floor)
        shown.add_row(
            one.scheme,
            one.knob or "-",
            ("" if one.bytes else ">= ") + format_bytes(serving) if serving is not None else "-",
            _share(serving, found.full),
            format_bytes(one.bytes["training"]) if one.bytes else "-",
            _ids(one.expected, ids),
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


def _share(size: int | None, full: int | None) -> str:
    return "-" if size is None or not full else f"{size / full:.1%}"
