"""The beginning of a run: data prepared on all hosts, checks before the first step, and a folder to write to."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from difflib import ndiff
from pathlib import Path
from typing import Any

from recsys.calibration import build_calibration, build_link
from recsys.checksums import recording
from recsys.config import Config, dump, load_resolved, load_run_config
from recsys.config.former import recall_defaults
from recsys.config.kept import kept_file, locate_kept, recall_kept
from recsys.data.prepared import Prepared
from recsys.embeddings.budget import scheme_class
from recsys.environment import environment_record
from recsys.errors import ConfigError, DataError
from recsys.files import locked, naming_errors, write_atomic, write_json
from recsys.ranks import World, broadcast
from recsys.run_folder import RunFolder
from recsys.towers import tower_class
from recsys.training.golden import write_golden_rows

__all__ = [
    "begin",
    "check_classes",
    "check_same_run",
    "prepare_in_turn",
    "recall_start",
    "start_run",
    "undoing_start",
]

MOST_CHANGES = 8
"""Number of lines shown of a configuration that is not that of the run."""


def prepare_in_turn(world: World, prepare_data: Callable[[], Prepared]) -> Prepared:
    """Prepare on rank 0, then on one rank of each other host, which may share its disk; the others find it prepared.

    Args:
        world: This process and how many there are.
        prepare_data: Prepares the data, or finds them prepared.
    """
    turn = 0 if world.is_rank_zero else 1 if world.local_rank == 0 else 2
    prepared = None
    for now in range(3 if world.size > 1 else 1):
        if now == turn:
            prepared = prepare_data()
        broadcast(None)
    assert prepared is not None
    return prepared


def check_classes(config: Config) -> None:
    """Import the classes that a configuration names, before data are prepared and a folder is made.

    Raises:
        ConfigError: A class cannot be found, or is not a tower, a loss, a calibration or a scheme.
    """
    tower_class(config.model)
    build_link(config)
    build_calibration(config.calibration)
    for name, table in config.tables.items():
        scheme_class(table, where=f"tables.{name}.scheme")


@contextmanager
def begin(run: RunFolder, prepared: Prepared, *, data_dir: Path, world: World, resume: bool) -> Iterator[None]:
    """Start a new run, or check that a stopped one can go on, and hold its lock for the time of the block.

    Args:
        run: Folder of the run.
        prepared: The prepared data.
        data_dir: Folder that the paths in `data` are relative to.
        world: This process and how many there are; rank 0 writes and holds the lock.
        resume: Whether the run is a stopped one.

    Raises:
        ConfigError: The folder holds something, or the configuration is not that of the run.
        DataError: The folder is not that of a run, or the data have changed since it began.
        LockedError: Another process trains the run.
    """
    if resume:
        run.require_run()
    elif world.is_rank_zero:
        run.path.mkdir(parents=True, exist_ok=True)
    with locked(run.lock, f"{run.path}: is being trained") if world.is_rank_zero else nullcontext():
        if resume:
            check_same_run(run, prepared)
        elif world.is_rank_zero:
            start_run(run, prepared, data_dir)
        with naming_errors(run.path):
            yield


@contextmanager
def undoing_start(run: RunFolder) -> Iterator[None]:
    """Remove the folder of a run that has just begun if the block fails: a mended configuration may have its name."""
    try:
        yield
    except Exception:
        shutil.rmtree(run.path, ignore_errors=True)
        raise


def start_run(run: RunFolder, prepared: Prepared, data_dir: Path) -> None:
    """Write what is known before training.

    Args:
        run: Folder of the run; must be empty, not exist, or hold what a start that was killed has left.
        prepared: The prepared data.
        data_dir: Folder that the paths in `data` are relative to.

    Raises:
        ConfigError: The folder holds something else.
    """
    if not run.is_free:
        raise ConfigError(f"{run.path}: exists already; choose another name, or resume that run")
    with undoing_start(run), naming_errors(run.path):
        shutil.rmtree(run.transform, ignore_errors=True)
        run.checksums.unlink(missing_ok=True)
        prepared.state.save(run.transform)
        with recording(run.golden_rows):
            write_golden_rows(prepared.resolved, data_dir, run.golden_rows)
        write_json(run.environment, environment_record())
        with recording(run.data):
            write_json(run.data, _data_record(prepared, data_dir))
        with recording(run.config):
            write_atomic(run.config, dump(prepared.resolved.config))  # last: it makes the folder a run


def _data_record(prepared: Prepared, data_dir: Path) -> dict[str, Any]:
    """Return what a run keeps of its data: where it is prepared, what it was made from, and what its splits hold."""
    splits = {
        name: {
            "rows": split.num_rows,
            "features": {feature: asdict(coverage) for feature, coverage in split.coverage.items()},
        }
        for name, split in prepared.splits.items()
    }
    started = time.strftime("%FT%TZ", time.gmtime())
    return prepared.origin() | {"data_dir": str(data_dir.absolute()), "started": started, "splits": splits}


def recall_start(config: Config, run: RunFolder) -> Config:
    """Return the configuration of a run that is resumed as it was when the run began.

    Files of kept values may be gone since then, and defaults may be others.

    Raises:
        DataError: The folder is not that of a run.
    """
    run.require_run()
    before = load_run_config(run.config)
    config = recall_defaults(locate_kept(config), before)
    files = map(kept_file, config.features.values())
    is_complete = all(file is None or file.checksum is not None for file in files)
    return config if is_complete else recall_kept(config, before)


def check_same_run(run: RunFolder, prepared: Prepared) -> None:
    """Refuse to resume a run with another configuration or other data.

    Only where tables lie, and how ranks communicate, may change.

    Raises:
        ConfigError: The configuration is not that of the run; the message shows the lines that differ.
        DataError: The folder is not that of a run, or the data have changed since it began.
    """
    run.require_run()
    before = load_resolved(run.config)
    then, now = (dump(one.without_sharding()).splitlines() for one in (before, prepared.resolved))
    if then != now:
        changed = [line for line in ndiff(then, now) if line[0] in "+-"]
        shown = "\n  ".join(changed[:MOST_CHANGES])
        raise ConfigError(f"{run.path}: was made with another configuration; compare with {run.config}:\n  {shown}")
    if not prepared.is_from(run.read_origin()):
        raise DataError(f"{run.path}: the data files have changed since the run began")
