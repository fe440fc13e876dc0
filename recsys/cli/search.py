"""`recsys search`: progress, what was found, and how to go on after an interruption."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.api.config import load_config
from recsys.api.defaults import DEFAULT_SEARCHES
from recsys.api.search import run_search as search_here
from recsys.cli.options import data_options
from recsys.cli.resumable import resumable
from recsys.console import log
from recsys.search.optuna.storage_name import storage_name
from recsys.units import format_bytes

if TYPE_CHECKING:
    from recsys.search.outputs import SearchResult

__all__ = ["command_line", "run_search"]


def run_search(
    path: Path, options: Mapping[str, Any], *, name: str | None, data_dir: Path, cache_dir: Path, out: Path
) -> None:
    """Search, and print what was found and what to do with it.

    Args:
        path: file of the configuration.
        options: method, budget and others, by the names of the command line; None where they were not given.
        name: name of the search.
        data_dir: folder that the configuration's paths are relative to.
        cache_dir: folder of prepared data.
        out: folder of searches.
    """
    config = load_config(path)
    command = command_line(path, {**options, "name": name}, data_dir=data_dir, cache_dir=cache_dir, out=out)
    with resumable(lambda ending: log(f"{ending}; to resume: {command}")) as on_progress:
        found = search_here(
            config,
            **options,
            name=name,
            searches_dir=out,
            data_dir=data_dir,
            cache_dir=cache_dir,
            command=command,
            on_progress=on_progress,
            log=log,
        )
    _say(found, shlex.join(data_options(data_dir, cache_dir)))


def _say(found: "SearchResult", data: str) -> None:
    before, after = found.baseline.serving_bytes, found.best.serving_bytes
    if found.best.name == found.baseline.name:
        print(f"{found.folder}: keep the configuration as it is; why, and what was tried: {found.folder / 'report.md'}")
        return
    size = f"tables of {format_bytes(after)} in place of {format_bytes(before)} ({after / max(before, 1):.1%}), "
    size = size if after != before else ""
    print(f"{found.folder}: {size}validation AUC {found.best.auc:.4f} in place of {found.baseline.auc:.4f}")
    print(f"what was cut, and what each feature is worth: {found.folder / 'report.md'}")
    print(f"to train it: recsys train {shlex.join([str(found.best_yaml)])} {data}".rstrip())


def command_line(path: Path, options: Mapping[str, Any], *, data_dir: Path, cache_dir: Path, out: Path) -> str:
    """Return the command that goes on with a search.

    >>> given = {"method": "dnis", "budget": "0.1", "trials": None, "retrain": 0}
    >>> command_line(Path("a.yaml"), given, data_dir=Path("my data"), cache_dir=Path("c"), out=Path("searches"))
    "recsys search a.yaml --method dnis --budget 0.1 --data-dir 'my data' --cache-dir c"
    """
    argv = ["recsys", "search", str(path)]
    if options.get("storage"):
        options = {**options, "storage": storage_name(options["storage"])}  # reports must not show its password
    given = {name: value for name, value in options.items() if value is not None and value != 0}
    argv += [word for name, value in given.items() for word in (f"--{name}", str(value))]
    argv += data_options(data_dir, cache_dir)
    return shlex.join([*argv, *(["--out", str(out)] if out != DEFAULT_SEARCHES else [])])
