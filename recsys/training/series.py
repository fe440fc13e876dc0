"""A series of trainings in one folder, such as a comparison or a search, which the same command goes on with."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from recsys.checkpoint.folder import find_checkpoint
from recsys.checksums import read_json
from recsys.config import Config
from recsys.data.prepared import Prepared
from recsys.environment import environment_record
from recsys.errors import ConfigError, DataError, LockedError
from recsys.files import DRAFT, locked, write_json
from recsys.run_folder import RunFolder
from recsys.training.run import train

__all__ = ["check_same_series", "series_lock", "train_to_end"]

LOCK = ".lock"
"""File that is there while a process works on the series."""
WAIT_SECONDS = 0.1
"""Time between two looks at a lock that another process holds."""
WORDS = {"config": "configuration"}
"""Words for what was asked, where its key is not one."""


@contextmanager
def series_lock(folder: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Make the folder and hold its lock for the time of the block.

    Args:
        folder: folder of the series.
        wait_seconds: how long to wait for a process that holds it for a moment.

    Raises:
        LockedError: another process is working on the series.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(locked(folder / LOCK, f"{folder}: is being worked on"))
                break
            except LockedError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(WAIT_SECONDS)
        yield


def check_same_series(
    record: Path, asked: Mapping[str, str], prepared: Prepared, *, kind: str, reason: str, remedy: str
) -> None:
    """Start a series in an empty folder, or refuse a folder in which something else was started.

    Args:
        record: the JSON file of the folder that says what was asked: FOLDER/search.json.
        asked: what all trainings of the series have in common, such as the text of the configuration, by its name.
        prepared: the data.
        kind: what the folder should be: "a search".
        reason: what another configuration would spoil: ", so new cells could not be compared with its own".
        remedy: what the user can do: "name a new folder with --out".

    Raises:
        ConfigError: the folder is that of another series, or of none.
        DataError: the data files have changed.
    """
    folder = record.parent
    if not record.exists():
        others = sorted(f.name for f in folder.iterdir() if f.name != LOCK and not f.name.startswith(DRAFT))
        if others:
            raise ConfigError(f"{folder}: is not {kind} (it holds {others[0]}); {remedy}")
        write_json(record, {**prepared.origin(), **asked, "environment": environment_record()})
        return
    started = read_json(record, remedy=remedy)
    if not isinstance(started, dict) or (missing := sorted({"prepared", *asked} - started.keys())):
        lacks = f"has no {missing[0]}" if isinstance(started, dict) else "must hold an object with keys"
        raise DataError(f"{record}: is damaged: it {lacks}; {remedy}")
    for name, value in asked.items():
        if started[name] != value:
            change = f"{WORDS.get(name, name)} ({first_difference(started[name], value)})"
            raise ConfigError(f"{folder}: was started with another {change}{reason}; {remedy}")
    if not prepared.is_from(started):
        raise DataError(f"{folder}: the data files have changed since it was started; {remedy}")


def first_difference(before: str, after: str) -> str:
    r"""Return the first line of each of two texts that is not in the other.

    >>> first_difference("a: 1\nb: 2", "a: 1\nb: 3")
    "'b: 2', now 'b: 3'"
    """
    old, new = before.splitlines(), after.splitlines()
    gone, come = [[line.strip() for line in one if line not in other] for one, other in ((old, new), (new, old))]
    return f"{(gone or ['nothing'])[0]!r}, now {(come or ['nothing'])[0]!r}"


def train_to_end(config: Config, folder: Path, **options: Any) -> dict[str, float]:
    """Train a run of a series, from its last checkpoint if it was stopped, and return its figures.

    A run without checkpoints, since it was killed early or they were deleted, is trained from the beginning.

    Args:
        config: the checked configuration.
        folder: folder of the run; without checkpoints, all that is in it is removed.
        options: others of `recsys.training.run.train`.
    """
    run = RunFolder(folder)
    resume = run.is_run and find_checkpoint(run.last_checkpoint) is not None
    if resume and run.metrics.exists():
        return run.read_metrics()
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    return train(config, folder=folder, resume=resume, **options).metrics
