"""`recsys compare`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.cli.options import GroupColumn, LabelColumn, ScoreColumn, WeightColumn
from recsys.cli.progress import progress_reports
from recsys.console import log
from recsys.files import to_json

__all__ = ["compare"]


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Run folders or parquet files with predictions; a pattern in quotes, 'runs/a-seed-*', is one model.",
            show_default=False,
        ),
    ],
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column of the raw files by whose slices they are compared too; several times for several."),
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric that decides which model is best.")] = "auc",
    split: Annotated[Literal["test", "valid"], typer.Option(help="Rows of runs that are compared.")] = "test",
    label: LabelColumn = "label",
    score: ScoreColumn = "score",
    weight: WeightColumn = "weight",
    group: GroupColumn = "group",
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.html, a page with all figures and curves, and metrics.json.")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the raw files that --by reads; by default where they lay in training."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all that was found as JSON.")] = False,
) -> None:
    """Say which of several models is better on the same rows, how surely, and what would tell if it is not sure.

    Rows are paired, and with several seeds of each model the interval holds for other seeds too. Of more than two
    models, the verdicts are corrected for the number of pairs.

    Example: `recsys compare runs/new runs/old`, or over seeds `recsys compare 'runs/new-seed-*' 'runs/old-seed-*'`
    """
    from recsys.api.compare import compare as compare_models
    from recsys.judging.report import check_report

    if report is not None:
        check_report(report)
    with progress_reports() as on_progress:
        found = compare_models(
            *models,
            by=by or (),
            metric=metric,
            split=split,
            label=label,
            score=score,
            weight=weight,
            group=group,
            data_dir=data_dir,
            on_progress=on_progress,
        )
    print(to_json(found.facts(), indent=2) if json else found)
    if report is not None:
        log(f"{found.report(report)} is written")
