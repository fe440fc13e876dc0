"""The text of `recsys importance`: a line for each feature, and the lines that leave out what is worth nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from recsys.config.yaml_text import block_text
from recsys.console import print_table

if TYPE_CHECKING:
    import polars as pl

__all__ = ["show_importance"]

BAR_WIDTH = 24


def show_importance(run: Path, frame: "pl.DataFrame", *, where: str) -> None:
    """Print what each feature is worth, the most important one first, and what can be left out.

    Args:
        run: the folder of the run.
        frame: what `recsys.Run.importance` returned.
        where: which rows were looked at, such as "test rows".
    """
    rows = list(frame.iter_rows(named=True))
    first = rows[0]
    print(
        f"{run} on {first['rows']:,} {where}: AUC {first['auc'] + first['auc_loss']:.4f}, "
        f"logloss {first['logloss'] - first['logloss_gain']:.4f}\n"
    )
    print_table(_table(rows))
    for line in _conclusions(run, rows):
        print(line)


def _table(rows: list[dict[str, Any]]) -> Table:
    most = max(row["auc_loss"] for row in rows)
    shown = Table("feature", "", box=None, pad_edge=False)
    for name in ("AUC lost", "95 % interval", "logloss gained", "95 % interval"):
        shown.add_column(name, justify="right")
    shown.add_column("")
    for row in rows:
        bar = "#" * round(BAR_WIDTH * row["auc_loss"] / most) if most > 0 else ""
        figures = [*_figure(row, "auc_loss"), *_figure(row, "logloss_gain")]
        shown.add_row(row["feature"], bar, *figures, "" if row["verdict"] == "carries" else row["verdict"])
    return shown


def _figure(row: dict[str, Any], name: str) -> tuple[str, str]:
    return f"{row[name]:+.4f}", f"{row[f'{name}_low']:+.4f} to {row[f'{name}_high']:+.4f}"


def _conclusions(run: Path, rows: list[dict[str, Any]]) -> list[str]:
    """Say what can be left out and how, what cannot though it is worth nothing, and what the rows do not tell."""
    lines = []
    named = {kind: _names(rows, verdict=kind, can_be_left_out=False) for kind in ("nothing", "unclear")}
    if named["unclear"]:
        lines += ["", f"unclear: {named['unclear']}: more rows would tell"]
    if named["nothing"]:
        lines += ["", f"worth nothing, but not to be left out with the rest: {named['nothing']}"]
        lines += ["  another feature says the same, is made of it, or the tower needs it"]
    if left_out := [name for row in rows if row["can_be_left_out"] for name in row["features"]]:
        features = {name: {"use": False} for name in dict.fromkeys(left_out)}
        lines += ["", f"worth nothing, even all at once: {_names(rows, can_be_left_out=True)}"]
        lines += ["a configuration without them (or write `use: false` at them in your own):", ""]
        lines += [block_text("include", str(run / "config.yaml"), 0, "\n"), block_text("features", features, 0, "\n")]
    return lines


def _names(rows: list[dict[str, Any]], **wanted: object) -> str:
    return ", ".join(row["feature"] for row in rows if all(row[key] == value for key, value in wanted.items()))
