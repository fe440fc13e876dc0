"""Searches from Python: for tables that are smaller and as good, and for other keys of a configuration."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recsys.api.config import load_config, with_data
from recsys.api.defaults import DEFAULT_CACHE, DEFAULT_SEARCHES, default_name, folder_by_name
from recsys.api.quiet import quiet_packages
from recsys.config import Config
from recsys.progress import OnProgress, no_log, no_progress

if TYPE_CHECKING:
    import polars as pl

    from recsys.api.frames import ArrowTable
    from recsys.search.outputs import SearchResult

__all__ = ["run_search"]


def run_search(
    config: "str | Path | Mapping[str, Any] | Config",
    *,
    method: str,
    budget: str | float | None = None,
    trials: int | None = None,
    storage: str | None = None,
    retrain: int = 0,
    train: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path] | None" = None,
    valid: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path] | None" = None,
    test: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path] | None" = None,
    data_dir: str | Path = ".",
    cache_dir: str | Path = DEFAULT_CACHE,
    name: str | None = None,
    searches_dir: str | Path = DEFAULT_SEARCHES,
    device: Literal["cpu", "cuda"] | None = None,
    command: str = "",
    on_progress: OnProgress = no_progress,
    log: Callable[[str], None] | None = print,
) -> "SearchResult":
    """Find out which widths, ids and features of the tables are worth their bytes, and train the best that was found.

    The same call goes on with a search that was stopped.

    Args:
        config: what `load_config` takes: the path of a YAML file, YAML text, a dict, or a checked configuration.
        method: name of the method, such as "dnis", or the import path of one of your own.
        budget: most bytes of the tables when served ("8MB"), or a fraction of what they take now (0.25). By default
            the smallest tables are chosen that are not significantly worse than the best ones.
        trials: number of configurations that "optuna" tries.
        storage: where "optuna" keeps its trials, so that several processes or machines work on them: a journal file
            or a database such as "sqlite:///FILE"; by default a file in the folder of the search.
        retrain: number of further points of the front to train.
        train: training rows in place of `data.train`: a data frame, or paths or globs of files.
        valid: validation rows in place of `data.valid`.
        test: test rows in place of `data.test`; they are scored once, at the end.
        data_dir: folder that relative paths of the section `data` start at.
        cache_dir: folder where prepared data is kept between runs; may be deleted at any time.
        name: name of the search's folder; by default that of the configuration and the method.
        searches_dir: folder in which folders of searches are made.
        device: "cpu" or "cuda"; by default cuda where there is one.
        command: command line that makes the search again, for the report.
        on_progress: called with (stage, rows done, rows in all if known) during long work.
        log: called with lines about what was found; None for silence.

    Returns:
        What was found: `.best_yaml` is the configuration to train, `.folder` holds report.md and the other files.

    Raises:
        ConfigError: the configuration is not valid, there is no such method or budget, or the folder is that of
            another search.
        DataError: the data does not hold what the configuration says, or has changed since the search was started.

    Example:
        ```python
        found = recsys.run_search("run.yaml", method="nested", budget=0.5, data_dir="data")
        run = recsys.train(found.best_yaml, data_dir="data")
        ```
    """
    checked = with_data(
        load_config(config, cache_dir=cache_dir), {"train": train, "valid": valid, "test": test}, cache_dir
    )
    default = f"{default_name(checked)}-{method.rpartition(':')[2]}"
    folder = folder_by_name(name, Path(searches_dir), default=default, kind="search")
    with quiet_packages():
        from recsys.search.run import search  # not at the top: torch takes seconds to import

        return search(
            checked,
            method=method,
            folder=folder,
            data_dir=Path(data_dir),
            cache_dir=Path(cache_dir),
            budget=budget,
            trials=trials,
            storage=storage,
            retrain=retrain,
            device=device,
            command=command or f"recsys.run_search(..., method={method!r})",
            on_progress=on_progress,
            log=log or no_log,
        )
