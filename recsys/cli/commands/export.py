"""`recsys export`."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from recsys.api.defaults import DEFAULT_CACHE
from recsys.bundle_folder import MODEL_FILES
from recsys.cli.options import CacheDir, RunFolder
from recsys.cli.progress import progress_reports
from recsys.console import log
from recsys.errors import ExportError
from recsys.files import scratch_folder

if TYPE_CHECKING:
    from recsys.config.schemes.base import ServedPrecision

__all__ = ["export"]


def export(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle.")] = None,
    triton: Annotated[
        Path | None,
        typer.Option(help="Triton model repository, to which the model is added under the name of the bundle or run."),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that says something of the user, not of what is shown; may be repeated. Histories and the "
            "column `group` need not be named."
        ),
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            help="Precision of the rows of all tables (fp32, fp16 or int8), or TABLE=PRECISION of one; may be "
            "repeated. By default as they are configured."
        ),
    ] = None,
    max_auc_loss: Annotated[
        float | None,
        typer.Option(
            help="The most that the AUC on the validation rows may lose: tables get more bits, beginning with those "
            "that --tables names (by default int8), until it is kept.",
            min=0,
        ),
    ] = None,
    model_format: Annotated[
        Literal["torchscript", "pt2"],
        typer.Option("--format", help="Form of the model: TorchScript, or a program of torch.export."),
    ] = "torchscript",
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder that the paths in the section `data` are relative to; by default as in training."),
    ] = None,
    cache_dir: CacheDir = DEFAULT_CACHE,
) -> None:
    """Write a model that takes raw columns and needs nothing but torch, and check it in a fresh process.

    Example: `recsys export runs/NAME --out bundle/`, or in a quarter of the bytes
    `recsys export runs/NAME --out bundle/ --tables int8 --max-auc-loss 0.0005`
    """
    from recsys.api.run import Run

    if out is None and triton is None:
        raise ExportError("nothing to write: name a folder with --out, or a model repository with --triton")
    if triton is not None and model_format != "torchscript":
        raise ExportError("--triton: its PyTorch backend reads TorchScript, not --format pt2")
    with progress_reports() as on_progress, nullcontext(out) if out else scratch_folder() as folder:
        bundle = Run(run).export(
            out or folder / run.resolve().name,
            user=user or (),
            tables=_by_table(tables) if tables else None,
            max_auc_loss=max_auc_loss,
            model_format=model_format,
            data_dir=data_dir,
            cache_dir=cache_dir,
            on_progress=on_progress,
            log=log,
        )
        added = None if triton is None else bundle.write_triton(triton)
    log(f"{out or added}: {MODEL_FILES[model_format]} scores its golden rows in a fresh process as here")


def _by_table(texts: list[str]) -> "dict[str, ServedPrecision]":
    """Return what `Run.export` takes, which says what is wrong with it."""
    found: dict[str, Any] = {}
    for text in texts:
        name, _, precision = text.rpartition("=")
        found[name or "*"] = precision
    return found
