"""`recsys evaluate`."""

import math
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import Device, RunFolder
from recsys.cli.progress import progress_reports
from recsys.console import log
from recsys.files import to_json

__all__ = ["evaluate"]


def evaluate(
    run: RunFolder,
    data: Annotated[list[str], typer.Argument(help="Files or globs with the label column.")],
    out: Annotated[
        Path | None, typer.Option(help="Parquet file for the label, score, weight and group of each row.")
    ] = None,
    device: Device = None,
) -> None:
    """Score other files with the best epoch of a run and print the metrics as JSON.

    Example: `recsys evaluate runs/NAME data/other.parquet`
    """
    from recsys.api.run import Run

    with progress_reports() as on_progress:
        metrics = Run(run).evaluate(data, out=out, device=device, on_progress=on_progress, log=log)
    print(to_json(metrics, indent=2))
    if any(math.isnan(value) for value in metrics.values()):
        log("null: not defined on these rows; AUC, for example, needs labels of both classes")
