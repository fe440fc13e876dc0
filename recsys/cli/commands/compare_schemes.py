"""`recsys compare-schemes`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from recsys.api.defaults import DEFAULT_CACHE
from recsys.cli.options import CacheDir, ConfigFile, DataDir

__all__ = ["compare_schemes"]


def compare_schemes(
    config: ConfigFile,
    schemes: Annotated[
        str,
        typer.Option(
            help="`all`, or names such as full,hash,hash/per_feature; dnis and other methods of `recsys search` too."
        ),
    ] = "all",
    budgets: Annotated[
        str, typer.Option(help="Fractions of the full table, or sizes such as 10MB, with commas between them.")
    ] = "0.5,0.1,0.01",
    seeds: Annotated[int, typer.Option(help="Number of trainings of each; the first uses train.seed.", min=1)] = 3,
    data_dir: DataDir = Path(),
    cache_dir: CacheDir = DEFAULT_CACHE,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; by default compare/NAME, named like the config.")
    ] = None,
    processes: Annotated[int, typer.Option(help="Number of trainings at a time; they share the cores.", min=1)] = 1,
) -> None:
    """Train every compression of the embeddings at every budget, and recommend one for each.

    All features with ids are put into one table of width model.dim; the rest of the config stays. SCHEME/per_feature
    splits a scheme's budget among the features instead of letting them share it; unified/probes reads two narrow rows
    in place of one. Called again, it trains what is missing: after an interruption, or with further schemes, budgets
    or seeds. Exit code 1 means that some trainings failed.

    Example: `recsys compare-schemes run.yaml --schemes full,hash,hash/per_feature --budgets 0.1,10MB --seeds 3`
    """
    from recsys.api.defaults import config_name
    from recsys.cli.compare import run_comparison

    folder = out or Path("compare") / config_name(config)
    options = {"schemes": schemes, "budgets": budgets, "seeds": seeds, "processes": processes}
    if not run_comparison(config, options, data_dir=data_dir, cache_dir=cache_dir, folder=folder):
        sys.exit(1)
