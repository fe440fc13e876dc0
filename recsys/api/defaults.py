"""Folders that are used where the user names none."""

import sys
from pathlib import Path

from recsys.errors import DataError

__all__ = ["DEFAULT_CACHE", "DEFAULT_RUNS", "config_name", "new_run_folder"]

DEFAULT_CACHE = Path(".recsys-cache")
DEFAULT_RUNS = Path("runs")


def new_run_folder(name: str | None, runs_dir: Path, *, default: str) -> Path:
    """Return the path of a new run's folder: as named, or after the configuration, with a number if that is taken.

    Args:
        name: The name of the run, which must not exist yet.
        runs_dir: the folder that run folders lie in.
        default: name of a run that is given none; a number is added if it is taken.

    Raises:
        DataError: a run has this name.
    """
    if name is not None:
        folder = runs_dir / name
        if folder.exists():
            raise DataError(f"{folder}: exists already; choose another --name, or resume it with --resume {folder}")
        return folder
    numbered = (runs_dir / (default if n == 1 else f"{default}-{n}") for n in range(1, sys.maxsize))
    return next(folder for folder in numbered if not folder.exists())


def config_name(config: Path) -> str:
    """Return the name that runs of a config file get: its own, or its folder's for run.yaml and config.yaml."""
    return config.resolve().parent.name if config.stem in ("run", "config") else config.stem
