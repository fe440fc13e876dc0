"""Tables of slices on the terminal."""

from typing import TYPE_CHECKING, Any

from rich.table import Table

from recsys.console import log, print_table
from recsys.units import format_count

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MOST_SLICES", "show_slices", "worst_sentence"]

MOST_SLICES = 20
"""Slices that are shown, unless the user asks for more."""
_KINDS = {"training frequency": "", "value": "", "quantile": "", "length": "length "}


def show_slices(table: "pl.DataFrame", most: int = MOST_SLICES) -> None:
    """Print the worst slices on stderr, and above them in words what is wrong with the first one."""
    if table.is_empty():
        return
    log(worst_sentence(table))
    tasks = ["task"] if "task" in table.columns else []
    shown = Table(*tasks, "column", "slice", box=None, pad_edge=False)
    for name in ("rows", "positives", "AUC", "to all rows", "logloss", "calibration", "off by at least"):
        shown.add_column(name, justify="right")
    for row in table.head(most).iter_rows(named=True):
        shown.add_row(*(row[task] for task in tasks), row["column"], _slice_name(row), *_figures(row))
    print_table(shown, stderr=True)
    if len(table) > most:
        log(f"{len(table) - most} of {format_count(len(table), 'slice')} are not shown; --show {len(table)} shows all")


def worst_sentence(table: "pl.DataFrame") -> str:
    """Say what is wrong with the first slice of a table."""
    worst = table.row(0, named=True)
    if not worst["miscalibration"]:
        return "on no slice is the calibration off for certain"
    where = f"{worst['column']}: {_slice_name(worst)}"
    if worst["calibration"] is None:
        return f"{where}: there are no positives, though the predictions promise some"
    too = "too many" if worst["calibration"] > 1 else "too few"
    return (
        f"{where}: the predictions promise {too} positives, {worst['calibration']:.2f} times those there are; "
        f"off by {worst['miscalibration']:.0%} at least"
    )


def _slice_name(row: dict[str, Any]) -> str:
    return f"{_KINDS.get(row['by'], '')}{row['slice']}"


def _figures(row: dict[str, Any]) -> list[str]:
    off = row["miscalibration"]
    return [
        f"{row['rows']:,}",
        f"{row['positives']:,}" if isinstance(row["positives"], int) else f"{row['positives']:,.1f}",
        _with_interval(row, "auc", ".4f"),
        _number(row["auc_difference"], "+.4f"),
        _number(row["logloss"], ".4f"),
        _with_interval(row, "calibration", ".2f"),
        f"{off:.0%}" if off else "",
    ]


def _with_interval(row: dict[str, Any], name: str, form: str) -> str:
    ends = [_number(row[f"{name}_{end}"], form) for end in ("low", "high")]
    return f"{_number(row[name], form)} ({' to '.join(ends)})"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
