"""`recsys train`: what it prints, in one process or in several, and how to resume what was stopped."""

import os
import shlex
from math import isnan
from pathlib import Path
from typing import Any

from recsys.api.defaults import DEFAULT_RUNS, config_name, new_run_folder
from recsys.api.run import Run
from recsys.api.train import launch_training, train
from recsys.cli.resumable import resumable
from recsys.config import Config
from recsys.console import log
from recsys.evaluation.metrics import describe_metrics, headlines, metric_label
from recsys.evaluation.seeds import spread
from recsys.launch.failure import is_launched
from recsys.launch.torchrun import rank_info
from recsys.run_folder import RunFolder
from recsys.units import format_count

__all__ = ["figures", "figures_of_seeds", "train_here", "train_on", "train_seeds"]


def train_on(
    devices: int, config: Path, argv: list[str], *, name: str | None, runs_dir: Path, resume: Path | None
) -> int:
    """Train in several new processes, all in the folder that is chosen here; return the exit code.

    Args:
        devices: number of processes.
        config: the configuration.
        argv: `config` and the options that must be repeated to resume.
        name: of a new run.
        runs_dir: folder of new runs.
        resume: folder of a stopped run.

    Raises:
        DataError: the folder is in use.
    """
    folder = resume or new_run_folder(name, runs_dir, default=config_name(config))
    log(f"starting {devices} processes{_crowd(devices)}")

    def resume_command(code: int) -> str | None:
        again = [*argv, "--devices", str(devices)]
        return None if code == 2 else resume_command_line(again, folder)  # it would be refused again

    return launch_training(argv, devices, folder, is_resume=resume is not None, resume_command=resume_command).code


def train_here(config: Config, argv: list[str], *, resume: Path | None, **options: Any) -> Run | None:
    """Train in this process, beside others if the environment says so; return the run, on rank 0 only.

    Args:
        config: the checked configuration.
        argv: its path and the options that must be repeated to resume.
        resume: folder of a stopped run.
        options: others of `recsys.train`.

    Raises:
        Preempted: a SIGTERM came, and what is needed to resume is saved.
    """
    folder = resume

    def on_start(new: Path) -> None:
        nonlocal folder
        folder = new
        if resume is None:
            log(f"run folder: {new}")

    def say_how_it_ended(ending: str) -> None:
        """Print how the training ended, once; a launched process leaves that to its launcher."""
        if not is_launched() and _is_first():
            command = resume_command_line(argv, folder)
            log(ending if command is None else f"{ending}; to resume: {command}")

    with resumable(say_how_it_ended) as on_progress:
        run = train(
            config,
            resume=resume,
            on_start=on_start,
            on_progress=on_progress,
            log=log,
            **options,
        )
    return run if _is_first() else None


def train_seeds(
    config: Config, seeds: int, argv: list[str], *, name: str | None, runs_dir: Path, devices: int, **options: Any
) -> None:
    """Train several seeds, one after the other, and print the figures of each, their mean and their spread.

    Args:
        config: the checked configuration.
        seeds: how many.
        argv: its path and the options that must be repeated to resume.
        name: of the runs, without "-seed-1".
        runs_dir: folder of new runs.
        devices: number of processes that train together.
        options: others of `recsys.train`.

    Raises:
        Preempted: a SIGTERM came, and what is needed to resume is saved.
    """
    again = ["recsys", "train", *argv, "--seeds", str(seeds)]
    again += [] if name is None else ["--name", name]
    again += [] if runs_dir == DEFAULT_RUNS else ["--runs-dir", str(runs_dir)]
    again += [] if devices == 1 else ["--devices", str(devices)]
    with resumable(lambda ending: log(f"{ending}; to resume: {shlex.join(again)}")) as on_progress:
        runs = train(
            config,
            seeds=seeds,
            name=name,
            runs_dir=runs_dir,
            devices=devices,
            on_progress=on_progress,
            log=log,
            **options,
        )
    for run in runs:
        print(f"{run.path}: {figures(run.metrics)}")
    series = f"{str(runs[0].path).rpartition('-')[0]}-*"
    print(f"{series}: {figures_of_seeds([run.metrics for run in runs])}")


def _is_first() -> bool:
    """Return whether this process speaks for all that train together."""
    own = rank_info()
    return own is None or own.rank == 0


def _crowd(devices: int) -> str:
    """Say that there are more processes than cores, with which nothing gets faster."""
    cores = os.cpu_count() or 1
    return f" on {cores} cores, which is slower than {cores}" if devices > cores else ""


def resume_command_line(argv: list[str], folder: Path | None) -> str | None:
    """Return the command that resumes a run; None if its config, the last file written at the start, is missing."""
    if folder is None or not RunFolder(folder).is_run:
        return None
    return shlex.join(["recsys", "train", argv[0], "--resume", str(folder), *argv[1:]])


def figures(metrics: dict[str, float]) -> str:
    """Return the metrics of the test split in one line, or those of the validation split if there is no other."""
    split = _split(metrics)
    return f"{split} {describe_metrics(metrics, f'{split}.', with_intervals=True)}"


def figures_of_seeds(seeds: list[dict[str, float]]) -> str:
    """Return the means of the metrics over seeds in one line, and how much they vary.

    >>> figures_of_seeds([{"test.auc": 0.75, "test.logloss": 0.5}, {"test.auc": 0.76, "test.logloss": 0.5}])
    'test AUC 0.75500 +- 0.00707, logloss 0.50000 +- 0.00000 (mean and standard deviation of 2 seeds)'
    """
    split = _split(seeds[0])
    shown = []
    for name in headlines(seeds[0], f"{split}."):
        mean, deviation = spread([metrics[f"{split}.{name}"] for metrics in seeds])
        shown.append(f"{metric_label(name)} {mean:.5f}" + ("" if isnan(deviation) else f" +- {deviation:.5f}"))
    number = format_count(len(seeds), "seed")
    return f"{split} {', '.join(shown)} (mean and standard deviation of {number})"


def _split(metrics: dict[str, float]) -> str:
    return "test" if "test.auc" in metrics else "valid"
