"""`recsys checkpoint`: inspects, compares and converts checkpoints, without data or a GPU."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from recsys.console import log, print_table

if TYPE_CHECKING:
    from recsys.checkpoint.tools import Contents

__all__ = ["checkpoint"]

checkpoint = typer.Typer(help="Inspect, compare and convert checkpoints.", no_args_is_help=True)

Source = Annotated[
    Path, typer.Argument(help="A run, of which the best checkpoint is read, or a checkpoint.", show_default=False)
]


@checkpoint.command("inspect")
def show_contents(
    path: Annotated[
        Path, typer.Argument(help="A run, of which `last` and `best` are read, or a checkpoint.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show how far training was, and every tensor. Exit code 1 means that a checkpoint is not complete.

    Example: `recsys checkpoint inspect runs/NAME`
    """
    from recsys.checkpoint.tools import find_all, inspect

    found = [inspect(folder) for folder in find_all(path)]
    if as_json:
        print(json.dumps([_as_json(contents) for contents in found], indent=2))
    else:
        for contents in found:
            _show_head(contents)
        _show_tensors(found[-1])
    if any(contents.defects for contents in found):
        sys.exit(1)


@checkpoint.command("diff")
def show_differences(first: Source, second: Source) -> None:
    """Compare tables, other parameters and the state of both optimizers. Exit code 0: all are equal, 1: they differ.

    World size, sharding, random states and times are not compared. Tables are read piece by piece.

    Example: `recsys checkpoint diff runs/NAME runs/OTHER`, or
    `recsys checkpoint diff runs/NAME/checkpoints/last runs/NAME/checkpoints/best`
    """
    from recsys.checkpoint.diff import differences
    from recsys.checkpoint.tools import find_one

    found = list(differences(find_one(first), find_one(second)))
    if not found:
        log("equal")
        return
    shown = Table("tensor", "first", "second", box=None, pad_edge=False)
    for name in ("largest difference", "rows that differ"):
        shown.add_column(name, justify="right")
    for one in found:
        values = ("-", "-") if one.largest is None or one.rows is None else (f"{one.largest:.3g}", f"{one.rows:.2%}")
        shown.add_row(one.name, one.first or "is not there", one.second or "is not there", *values)
    print_table(shown)
    sys.exit(1)


@checkpoint.command()
def convert(
    path: Source,
    out: Annotated[Path, typer.Argument(help="New file, or new folder with `--to checkpoint`.", show_default=False)],
    to: Annotated[
        Literal["torch", "checkpoint"],
        typer.Option(help="torch: one file with the model as a dict; checkpoint: a folder as one process writes it."),
    ] = "torch",
    only: Annotated[
        list[str] | None, typer.Option(help="Name or glob of the tensors to write, with `--to torch`; may be repeated.")
    ] = None,
) -> None:
    """Write the tensors of a checkpoint for other programs, or join the files that many ranks have written.

    The file holds a dict of names and tensors for `torch.load`; TABLE.weight are the rows of a table.

    Example: `recsys checkpoint convert runs/NAME model.pt --only "item*"`, or
    `recsys checkpoint convert runs/NAME/checkpoints/last archive/last --to checkpoint`
    """
    from recsys.checkpoint.tools import find_one, to_checkpoint, to_torch

    if to == "checkpoint":
        if only:
            raise typer.BadParameter("goes with --to torch", param_hint="--only")
        to_checkpoint(find_one(path), out)
        log(f"{out}: a checkpoint of the same tensors")
    else:
        names = to_torch(find_one(path), out, only or ())
        log(f"{out}: {len(names)} tensors")


def _as_json(contents: "Contents") -> dict[str, Any]:
    """Return what `inspect` has found; JSON has no NaN."""
    best = contents.progress.get("best")
    return {
        "folder": str(contents.folder),
        "complete": not contents.defects,
        "defects": contents.defects,
        "files": contents.files,
        "bytes": contents.bytes,
        "world_size": contents.world_size,
        "progress": contents.progress | {"best": None if best is None or math.isnan(best) else best},
        "tensors": [
            {
                "name": one.name,
                "table": one.table,
                "is_optimizer_state": one.is_state,
                "size": list(one.size),
                "dtype": one.dtype,
                "bytes": one.bytes,
            }
            for one in contents.tensors
        ],
    }


def _show_head(contents: "Contents") -> None:
    from recsys.units import format_bytes

    progress = contents.progress
    lines = {"complete": f"no: {'; '.join(contents.defects)}" if contents.defects else "yes"}
    lines["on disk"] = f"{format_bytes(contents.bytes)} in {contents.files} files"
    if contents.world_size:
        lines["written by"] = f"{contents.world_size} rank{'s' if contents.world_size > 1 else ''}"
    if progress:
        place = "training is over" if progress["finished"] else f"batch {progress['batch']:,} of the next one"
        lines["epochs done"] = f"{progress['epoch']}, {place}; {progress['step']:,} steps in all"
        if progress["num_stages"] > 1:
            lines["stage"] = f"{progress['stage'] + 1} of {progress['num_stages']}"
        if progress["best_epoch"]:
            value = "not a number" if progress["best"] is None else f"{progress['best']:.5f}"
            lines["best epoch"] = f"{progress['best_epoch']}, its metric {value}"
    print(contents.folder)
    for name, line in lines.items():
        print(f"  {name:<11}  {line}")
    print()


def _show_tensors(contents: "Contents") -> None:
    """Show a line for each table, with the state of its optimizer, then one for each other tensor."""
    from recsys.units import format_bytes

    tables = Table("table", "rows x dim", "type", box=None, pad_edge=False)
    others = Table("other tensors", "size", "type", box=None, pad_edge=False)
    for shown in (tables, others):
        shown.add_column("bytes", justify="right")
    tables.add_column("optimizer's state", justify="right")
    for one in contents.tensors:
        size, weight = " x ".join(f"{n:,}" for n in one.size), format_bytes(one.bytes)
        if one.table is None:
            others.add_row(one.name, size or "one value", one.dtype, weight)
        elif not one.is_state:
            state = sum(other.bytes for other in contents.tensors if other.table == one.table and other.is_state)
            tables.add_row(one.table, size, one.dtype, weight, format_bytes(state))
    for shown in (tables, others):
        if shown.row_count:
            print_table(shown)
            print()
