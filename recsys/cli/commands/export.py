"""`recsys export`."""

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import RunFolder
from recsys.console import log

__all__ = ["export"]


def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    user: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that says something of the user, not of what is shown; may be repeated. Histories and the "
            "column `group` need not be named."
        ),
    ] = None,
) -> None:
    """Write TorchScript that takes raw columns, and check it in a fresh process.

    Example: `recsys export runs/NAME --out bundle/`
    """
    from recsys.api.run import Run

    Run(run).export(out, user=user or ())
    log(f"{out}: model.pt scores its golden rows as training did")
