"""`recsys predict`."""

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.progress import progress_reports
from recsys.console import log

__all__ = ["predict"]


def predict(
    bundle: Annotated[Path, typer.Argument(help="A folder written by `recsys export`.")],
    data: Annotated[list[str], typer.Argument(help="Files or globs; the label column is not needed.")],
    out: Annotated[Path, typer.Option(help="Parquet file for the scores.")],
    keep: Annotated[list[str] | None, typer.Option(help="Column to copy beside the scores; may be repeated.")] = None,
) -> None:
    """Score files with a bundle.

    Example: `recsys predict bundle/ data/other.parquet --out scores.parquet --keep user_id`
    """
    from recsys.api.bundle import Bundle

    opened = Bundle(bundle)
    with progress_reports() as on_progress:
        rows = opened.predict_files(data, out, keep=keep or (), on_progress=on_progress, log=log)
    log(f"{out}: {rows:,} scores")
