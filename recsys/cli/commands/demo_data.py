"""`recsys demo-data`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.cli.progress import progress_reports
from recsys.console import log

__all__ = ["demo_data"]


def demo_data(
    folder: Annotated[Path, typer.Argument(help="New folder for the click log.")],
    rows: Annotated[int, typer.Option(help="Number of rows in all splits together.", min=1000)] = 300_000,
    shape: Annotated[
        Literal["shop", "criteo", "dims"],
        typer.Option(
            help="Columns: a shop with histories; 13 numbers and 26 ids; or ids that need 16, 8, 4 and 0 dims."
        ),
    ] = "shop",
    planted_slice: Annotated[
        bool,
        typer.Option(
            "--planted-slice",
            help="Add a column `app` to the shop that no feature reads; models are miscalibrated where it is 2.4.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers; equal seeds give equal logs.", min=0)] = 1,
) -> None:
    """Write a synthetic click log whose best possible AUC is known, with a config.yaml to train on it.

    Example: `recsys demo-data demo/data --rows 300000`
    """
    from recsys.api.init import demo_data as write_demo_data

    with progress_reports() as on_progress:
        best = write_demo_data(
            folder, rows=rows, shape=shape, seed=seed, planted_slice=planted_slice, on_progress=on_progress
        )["test"]
    log(f"{folder}: {rows:,} rows; the best AUC possible on test is {best:.4f}")
