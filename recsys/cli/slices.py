"""Tables of slices on the terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

from recsys.console import log, print_table
from recsys.files import to_json
from recsys.units import format_count

if TYPE_CHECKING:
    import polars as pl

    from recsys.config import Config

__all__ = ["MOST_SLICES", "calibration_hint", "json_with_slices", "show_slices", "worst_sentence"]

MOST_SLICES = 20
"""Slices that are shown, unless the user asks for more."""


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


def json_with_slices(metrics: Mapping[str, float], table: "pl.DataFrame") -> str:
    """Return metrics as JSON, and below them all slices, a line each."""
    lines = ",\n    ".join(to_json(row) for row in table.iter_rows(named=True))
    return to_json(metrics, indent=2).removesuffix("\n}") + f',\n  "slices": [\n    {lines}\n  ]\n}}'


def worst_sentence(table: "pl.DataFrame") -> str:
    """Say what is wrong with the first slice of a table."""
    worst = table.row(0, named=True)
    if not worst["miscalibration"]:
        return "on no slice is the calibration off for certain"
    where = f"{worst['column']} {_slice_name(worst)}"
    if worst["calibration"] is None:
        return f"{where}: there are no positives, though the predictions promise some"
    too = "too many" if worst["calibration"] > 1 else "too few"
    return (
        f"{where}: the predictions promise {too} positives, {worst['calibration']:.2f} times those there are; "
        f"off by {_share(worst['miscalibration'])} at least"
    )


def calibration_hint(table: "pl.DataFrame", config: "Config") -> str | None:
    """Say which key of the configuration of a run would mend the first slice of a table; None if none would."""
    from recsys.config.resolved import fields_of

    if table.is_empty() or not table["miscalibration"][0] or table["by"][0] != "value":
        return None
    column = table["column"][0]
    features = {name: feature for name, feature in config.features.items() if feature.use}
    reads = (field for field in fields_of(features) if features[field.feature].column_of(field.feature) == column)
    field = next((field.name for field in reads if field.kind == "id"), None)
    if field is None:
        return f"no feature tells the values of {column} apart; the model can learn from one what is wrong there"
    if config.calibration.by == field:
        return None
    method = config.calibration.method if config.calibration.is_fitted else "isotonic"
    return f"`calibration: {{method: {method}, by: {field}}}` would give each value of {column} a curve of its own"


def _slice_name(row: dict[str, Any]) -> str:
    return f"{'length ' * (row['by'] == 'length')}{row['slice'] or '(empty)'}"


def _share(off: float) -> str:
    """Write a share for people: those that are hundreds of percent as factors.

    >>> _share(0.004), _share(0.28), _share(20)
    ('0.4 %', '28 %', 'a factor of 21')
    """
    if off >= 3:
        return f"a factor of {off + 1:.0f}"
    return f"{off:.0%}".replace("%", " %") if off >= 0.1 else f"{off:.1%}".replace("%", " %")


def _figures(row: dict[str, Any]) -> list[str]:
    off = row["miscalibration"]
    return [
        f"{row['rows']:,}",
        f"{row['positives']:,}" if isinstance(row["positives"], int) else f"{row['positives']:,.1f}",
        _with_interval(row, "auc", ".4f"),
        _number(row["auc_difference"], "+.4f"),
        _number(row["logloss"], ".4f"),
        _with_interval(row, "calibration", ".2f"),
        _share(off) if off else "",
    ]


def _with_interval(row: dict[str, Any], name: str, form: str) -> str:
    ends = [_number(row[f"{name}_{end}"], form) for end in ("low", "high")]
    return f"{_number(row[name], form)} ({' to '.join(ends)})"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
