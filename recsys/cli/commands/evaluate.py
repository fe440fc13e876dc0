"""`recsys evaluate`."""

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.cli.options import Device, GroupColumn, LabelColumn, ScoreColumn, WeightColumn
from recsys.cli.progress import progress_reports
from recsys.console import log
from recsys.errors import ConfigError
from recsys.files import to_json

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run, such as runs/NAME; or a parquet file with labels and scores.", show_default=False
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files or globs with the label column; without any, the run's test rows.", show_default=False
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column to slice the rows by, feature or not, or a pattern such as '*'. May be repeated."),
    ] = None,
    show: Annotated[int, typer.Option(help="Number of slices to print, the worst ones.", min=1)] = 20,
    split: Annotated[
        Literal["test", "valid"], typer.Option(help="Rows of the run to evaluate, if no files are named.")
    ] = "test",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the run's data, if it is not where it was in training.")
    ] = None,
    label: LabelColumn = "label",
    score: ScoreColumn = "score",
    weight: WeightColumn = "weight",
    group: GroupColumn = "group",
    out: Annotated[
        Path | None, typer.Option(help="Parquet file for the label, score, weight and group of each row.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html, a page with all figures and curves, metrics.json and slices.csv."),
    ] = None,
    importance: Annotated[
        bool,
        typer.Option("--importance", help="Show what each feature carries, too; it takes longer."),
    ] = False,
    device: Device = None,
) -> None:
    """Print the metrics of a run, or of the scores of any model, as JSON; with --by also where it is worst.

    --report writes them, the curves and the slices as one HTML page; without --by it slices by the run's own features.

    Example: `recsys evaluate runs/NAME data/other.parquet --by country`
    """
    from recsys.api.run import Run
    from recsys.cli.evaluate import evaluate_target
    from recsys.cli.slices import calibration_hint, json_with_slices, show_slices
    from recsys.config import load_run_config
    from recsys.evaluation.predictions import ScoreColumns
    from recsys.judging.report import check_report
    from recsys.run_folder import RunFolder

    if importance and report is None:
        raise ConfigError("--importance: is shown in a report: name its folder, --report DIR; or see recsys importance")
    if report is not None:
        check_report(report)
    opened = Run(run) if importance else None
    with progress_reports() as on_progress:
        found = evaluate_target(
            run,
            data or [],
            by=by or [],
            is_for_report=report is not None,
            split=split,
            data_dir=data_dir,
            columns=ScoreColumns(label, score, weight, group),
            out=out,
            device=device,
            on_progress=on_progress,
        )
        carried = None
        if opened is not None:
            carried = opened.importance(
                data or None, split=split, data_dir=data_dir, device=device, on_progress=on_progress
            )
    slices = found.slices if by else None
    print(to_json(found.metrics, indent=2) if slices is None else json_with_slices(found.metrics, slices))
    if any(math.isnan(value) for value in found.metrics.values()):
        log("null: not defined on these rows; AUC, for example, needs labels of both classes")
    if slices is not None:
        show_slices(slices, show)
        if run.is_dir() and (hint := calibration_hint(slices, load_run_config(RunFolder(run).config))) is not None:
            log(hint)
    if report is not None:
        from recsys.judging.report import write_report
        from recsys.judging.report.from_run import judged_target

        log(f"{write_report(report, [judged_target(run, found, importance=carried)])} is written")
