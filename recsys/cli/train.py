"""`recsys train`: in this process, or in several that this one starts; and how to go on with what was stopped."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from recsys.cli.progress import console, progress_reports
from recsys.config import Config
from recsys.environment.worker import is_launched, place
from recsys.errors import Preempted
from recsys.launch import launch

if TYPE_CHECKING:
    from recsys.training.run import TrainResult

__all__ = ["Training", "train_here", "train_on"]


class Training(NamedTuple):
    """What is to be trained."""

    words: list[str]
    """Of the command line: the config and the options that are given again to go on."""
    resume: Path | None
    """The run to go on with."""
    new_folder: Callable[[], Path]
    """Chooses the folder of a new run."""


def train_on(devices: int, training: Training) -> int:
    """Train in as many new processes, all in the folder that is chosen here; return the exit code.

    Raises:
        DataError: the folder is in use.
    """
    folder = training.resume or training.new_folder()
    console.print(f"starting {devices} processes{_crowd(devices)}", markup=False)
    named = ["--name", folder.name, "--runs-dir", str(folder.parent)]
    again = ["--devices", str(devices)]

    def go_on(code: int) -> str | None:
        return None if code == 2 else command_to_go_on(training.words + again, folder)  # it would be refused again

    options = named if training.resume is None else ["--resume", str(folder)]
    return launch(["train", *training.words, *options], devices, go_on=go_on)


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
            command = command_to_go_on(training.words, folder)
            console.print(ending if command is None else f"{ending}; to go on: {command}", markup=False)

    try:
        with (
            stopping_on_sigterm(lambda: say_how_it_ended("stopped by SIGTERM")),
            process_group(pick_device(device).type) as world,
            progress_reports() as progress,
        ):
            if training.resume is None:
                folder = broadcast(training.new_folder() if world.is_rank_zero else None)
                if world.is_rank_zero:
                    console.print(f"run folder: {folder}", markup=False)
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
                progress=progress,
                say=lambda line: console.print(line, markup=False),
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


def command_to_go_on(words: list[str], folder: Path | None) -> str | None:
    """Return what goes on with a run, None if there is none yet: its config is the last thing written at the start."""
    if folder is None or not (folder / "config.yaml").exists():
        return None
    return shlex.join(["recsys", "train", words[0], "--resume", str(folder), *words[1:]])
