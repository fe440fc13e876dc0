"""`recsys train`: in this process, or in several that this one starts; and how to go on with what was stopped."""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from recsys.cli.progress import progress_reports
from recsys.config import Config
from recsys.console import log
from recsys.environment.worker import is_launched, place
from recsys.errors import DataError, Preempted
from recsys.launch import launch
from recsys.run_folder import RunFolder

if TYPE_CHECKING:
    from recsys.training.run import TrainResult

__all__ = ["Training", "config_name", "figures", "new_run_folder", "train_here", "train_on"]


class Training(NamedTuple):
    """One invocation of `recsys train`."""

    argv: list[str]
    """The config, and the options that must be repeated to go on."""
    resume: Path | None
    """Run folder to go on with; None starts a new run."""
    new_folder: Callable[[], Path]
    """Returns the folder of a new run."""


def train_on(devices: int, training: Training) -> int:
    """Train in as many new processes, all in the folder that is chosen here; return the exit code.

    Raises:
        DataError: the folder is in use.
    """
    folder = training.resume or training.new_folder()
    log(f"starting {devices} processes{_crowd(devices)}")
    named = ["--name", folder.name, "--runs-dir", str(folder.parent)]
    again = ["--devices", str(devices)]

    def go_on(code: int) -> str | None:
        return None if code == 2 else command_to_go_on(training.argv + again, folder)  # it would be refused again

    options = named if training.resume is None else ["--resume", str(folder)]
    return launch(["train", *training.argv, *options], devices, go_on=go_on)


def train_here(
    training: Training,
    config: Config,
    *,
    data_dir: Path,
    cache_dir: Path,
    device: Literal["cpu", "cuda"] | None,
    plan: Path | None,
) -> "TrainResult | None":
    """Train in this process, beside others if the environment says so; return what came of it, on rank 0 only.

    Raises:
        Preempted: a SIGTERM came, and what is needed to go on is saved.
    """
    from recsys.ranks import broadcast  # not at the top: torch takes seconds to import
    from recsys.ranks.join import process_group
    from recsys.ranks.signals import stopping_on_sigterm
    from recsys.training.run import train as train_run
    from recsys.training.strategy import pick_device

    folder = training.resume

    def say_how_it_ended(ending: str) -> None:
        """Say it once, unless the process that started this one will."""
        own = place()
        if not is_launched() and (own is None or own.rank == 0):
            command = command_to_go_on(training.argv, folder)
            log(ending if command is None else f"{ending}; to go on: {command}")

    try:
        with (
            stopping_on_sigterm(lambda: say_how_it_ended("stopped by SIGTERM")),
            process_group(pick_device(device).type) as world,
            progress_reports() as on_progress,
        ):
            if training.resume is None:
                folder = broadcast(training.new_folder() if world.is_rank_zero else None)
                if world.is_rank_zero:
                    log(f"run folder: {folder}")
            assert folder is not None
            trained = train_run(
                config,
                data_dir=data_dir,
                cache_dir=cache_dir,
                folder=folder,
                resume=training.resume is not None,
                device=device,
                world=world,
                plan=plan,
                on_progress=on_progress,
                say=log,
            )
    except KeyboardInterrupt:
        say_how_it_ended("interrupted")
        raise
    except Preempted:
        say_how_it_ended("stopped by SIGTERM")
        raise
    return trained if world.is_rank_zero else None


def _crowd(devices: int) -> str:
    """Say that there are more processes than cores, with which nothing gets faster."""
    cores = os.cpu_count() or 1
    return f" on {cores} cores, which is slower than {cores}" if devices > cores else ""


def command_to_go_on(argv: list[str], folder: Path | None) -> str | None:
    """Return what goes on with a run, None if there is none yet: its config is the last thing written at the start."""
    if folder is None or not RunFolder(folder).is_run:
        return None
    return shlex.join(["recsys", "train", argv[0], "--resume", str(folder), *argv[1:]])


def new_run_folder(config: Path, name: str | None, runs_dir: Path) -> Path:
    """Return a folder for a new run: as named, or called like the config, with a number if that is taken.

    Raises:
        DataError: the named folder is in use.
    """
    if name is not None:
        folder = runs_dir / name
        if folder.exists():
            raise DataError(f"{folder}: exists already; choose another --name, or go on with it by --resume {folder}")
        return folder
    base = config_name(config)
    numbered = (runs_dir / (base if n == 1 else f"{base}-{n}") for n in range(1, sys.maxsize))
    return next(folder for folder in numbered if not folder.exists())


def config_name(config: Path) -> str:
    """Return how runs of a config are called: like its file, or like its folder for run.yaml and config.yaml."""
    return config.resolve().parent.name if config.stem in ("run", "config") else config.stem


def figures(metrics: dict[str, float], split: str) -> str:
    """Return the metrics of a split in one line."""
    interval = ""
    if f"{split}.auc_low" in metrics:
        interval = f" (95 % interval {metrics[f'{split}.auc_low']:.5f} to {metrics[f'{split}.auc_high']:.5f})"
    shown = [f"{split} AUC {metrics[f'{split}.auc']:.5f}{interval}", f"logloss {metrics[f'{split}.logloss']:.5f}"]
    if f"{split}.gauc" in metrics:
        shown.append(f"GAUC {metrics[f'{split}.gauc']:.5f}")
    return ", ".join(shown)
