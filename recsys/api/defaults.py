"""Folders that are used where the user names none."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, DataError
from recsys.run_folder import RunFolder

if TYPE_CHECKING:
    from recsys.config import Config

__all__ = [
    "DEFAULT_CACHE",
    "DEFAULT_RUNS",
    "DEFAULT_SEARCHES",
    "config_name",
    "default_name",
    "folder_by_name",
    "new_run_folder",
]

DEFAULT_CACHE = Path(".recsys-cache")
DEFAULT_RUNS = Path("runs")
DEFAULT_SEARCHES = Path("searches")

MOST_BYTES = 255
"""Longest name of a folder on the usual file systems."""


def new_run_folder(name: str | None, runs_dir: Path, *, default: str) -> Path:
    """Return the path of a new run's folder: as named, or after the configuration, with a number if that is taken.

    Args:
        name: the name of the run, which must not exist yet, unless it was killed before it had begun.
        runs_dir: the folder that run folders lie in.
        default: name of a run that is given none; a number is added if it is taken.

    Raises:
        ConfigError: the name is no name of a folder in `runs_dir`.
        DataError: a run has this name.
    """
    if name is not None:
        folder = runs_dir / name
        if problem := _problem_of_name(name):
            raise ConfigError(f"name of the run: {problem}, got {name!r}")
        if not RunFolder(folder).is_free:
            raise DataError(f"{folder}: exists already; choose another name, or resume that run")
        return folder
    numbered = (runs_dir / (default if n == 1 else f"{default}-{n}") for n in range(1, sys.maxsize))
    return next(folder for folder in numbered if not folder.exists())


def folder_by_name(name: str | None, parent: Path, *, default: str, kind: str) -> Path:
    """Return the path of a folder which may be there: the same search, or the same runs, go on in it.

    Args:
        name: as the user named it.
        parent: the folder that it lies in.
        default: name of one that is given none.
        kind: what is named, "search".

    Raises:
        ConfigError: the name is no name of a folder in `parent`.
    """
    if name is not None and (problem := _problem_of_name(name)):
        raise ConfigError(f"name of the {kind}: {problem}, got {name!r}")
    return parent / (default if name is None else name)


def default_name(config: "Config") -> str:
    """Return what is called after a configuration: its name, "run" if it was made in Python."""
    location = config.source.location(())
    return "run" if location is None or not Path(location.file).suffix else config_name(Path(location.file))


def config_name(config: Path) -> str:
    """Return the name that runs of a config file get: its own, or its folder's for run.yaml and config.yaml."""
    name = config.resolve().parent.name if config.stem in ("run", "config") else config.stem
    return name.lstrip(".") or "run"


def _problem_of_name(name: str) -> str | None:
    """Say why a name is not that of a folder in another one, which may be a folder in a folder."""
    parts = name.split("/")
    if not all(parts):
        return "must be a name without empty parts"
    if any(part.startswith(".") for part in parts):
        return "must not be hidden or lead elsewhere: no part of it begins with a dot"
    if not name.isprintable():
        return "must have no control characters"
    if any(len(os.fsencode(part)) > MOST_BYTES for part in parts):
        return f"must not be longer than {MOST_BYTES} bytes"
    return None
