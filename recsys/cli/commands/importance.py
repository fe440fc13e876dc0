"""`recsys importance`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.api.defaults import DEFAULT_CACHE
from recsys.cli.options import CacheDir, Device, RunFolder
from recsys.cli.progress import progress_reports
from recsys.files import to_json

__all__ = ["importance"]


def importance(
    run: RunFolder,
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Files or globs with the label column; by default the rows that the run was evaluated on."),
    ] = None,
    split: Annotated[
        Literal["test", "valid"], typer.Option(help="Which of the run's rows are looked at, where no files are given.")
    ] = "test",
    feature: Annotated[
        list[str] | None,
        typer.Option(help="A feature to look at, or several as one (a+b); may be repeated; by default all."),
    ] = None,
    method: Annotated[
        Literal["permute", "drop"],
        typer.Option(
            help="What becomes of a feature. permute: a row has what another row has of it; drop: all rows have the "
            "mean, and no history, which takes one scoring where permuting takes one for each repeat."
        ),
    ] = "permute",
    rows: Annotated[int, typer.Option(help="Most rows; of more, a random sample is looked at.", min=1)] = 100_000,
    repeats: Annotated[int, typer.Option(help="Permutations of each feature.", min=1)] = 5,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the sample and of the permutations; by default train.seed.", min=0)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: an object for each feature.")] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder that the paths in the section `data` are relative to; by default as in training."),
    ] = None,
    cache_dir: CacheDir = DEFAULT_CACHE,
    device: Device = None,
) -> None:
    """Print how much AUC and logloss lose where a feature tells the model nothing, the most important feature first.

    Features that read one column, and the sequences of one behaviour, are looked at as one. The features that are worth
    nothing are named, with the lines of a configuration that leave them out.

    Example: `recsys importance runs/NAME`, or on other rows
    `recsys importance runs/NAME data/other.parquet --feature item_id --feature segment+device`
    """
    from recsys.api.run import Run
    from recsys.cli.importance import show_importance

    with progress_reports() as on_progress:
        found = Run(run).importance(
            data or None,
            split=split,
            features=feature or None,
            method=method,
            rows=rows,
            repeats=repeats,
            seed=seed,
            data_dir=data_dir,
            cache_dir=cache_dir,
            device=device,
            on_progress=on_progress,
        )
    if json:
        print(to_json(found.to_dicts(), indent=2))
    else:
        show_importance(run, found, where="rows" if data else f"{split} rows")
