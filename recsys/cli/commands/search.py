"""`recsys search`."""

from pathlib import Path
from typing import Annotated

import typer

from recsys.api.defaults import DEFAULT_CACHE, DEFAULT_SEARCHES
from recsys.cli.options import CacheDir, ConfigFile, DataDir, Device
from recsys.search.methods import BY_TRIALS, METHODS

__all__ = ["search"]


def search(
    config: ConfigFile,
    method: Annotated[
        str,
        typer.Option(help=f"One of {', '.join([*METHODS, BY_TRIALS])}; or package.module:Class, a method of your own."),
    ],
    budget: Annotated[
        str | None,
        typer.Option(
            help="Most bytes of the tables when served, such as 8MB, or a fraction of what they take now (0.25); by "
            "default as few as cost no AUC that shows."
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Number of configurations that optuna tries; 30 by default.", min=1)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Where optuna keeps its trials, so that several processes or machines work on them: a journal file "
            "or a database such as sqlite:///FILE; by default a file in the folder of the search."
        ),
    ] = None,
    retrain: Annotated[
        int, typer.Option(help="Number of further points of the front to train, beside the best one.", min=0)
    ] = 0,
    name: Annotated[
        str | None, typer.Option(help="Name of the search; by default that of the config and the method.")
    ] = None,
    data_dir: DataDir = Path(),
    cache_dir: CacheDir = DEFAULT_CACHE,
    out: Annotated[Path, typer.Option(help="Folder in which the folders of searches are made.")] = DEFAULT_SEARCHES,
    device: Device = None,
) -> None:
    """Find out what of the embedding tables is worth its bytes: which widths, which ids, which features.

    The folder of the search gets best.yaml, your own file with other tables, which `recsys train` takes; report.md,
    which says feature by feature what was cut and what that costs; pareto.png and pareto.csv; and a YAML file for every
    other point of the front. The validation rows decide; the test rows are scored once, at the end. Called again, it
    goes on where it was stopped.

    Example: `recsys search mine.yaml --method dnis --budget 8MB`, then
    `recsys train searches/mine-dnis/best.yaml`
    """
    from recsys.cli.search import run_search

    options = {
        "method": method,
        "budget": budget,
        "trials": trials,
        "storage": storage,
        "retrain": retrain,
        "device": device,
    }
    run_search(config, options, name=name, data_dir=data_dir, cache_dir=cache_dir, out=out)
