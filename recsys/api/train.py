"""Training from Python: in this process, beside others that torchrun has started, or in processes that it starts."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from recsys.api.config import load_config, with_data
from recsys.api.defaults import DEFAULT_CACHE, DEFAULT_RUNS, default_name, folder_by_name, new_run_folder
from recsys.api.quiet import quiet_packages
from recsys.api.run import Run
from recsys.api.seeds import train_each_seed
from recsys.config import Config, dump, load_run_config
from recsys.config.former import recall_defaults
from recsys.errors import ConfigError, Preempted, RecsysError
from recsys.files import scratch_folder
from recsys.launch import Outcome, launch
from recsys.launch.torchrun import rank_info
from recsys.progress import OnProgress, no_log, no_progress
from recsys.run_folder import RunFolder

if TYPE_CHECKING:
    import polars as pl
    from lightning.pytorch.callbacks import Callback

    from recsys.api.frames import ArrowTable
    from recsys.training.schedule import ScheduleFactory

__all__ = ["TrainOptions", "launch_training", "train"]


class TrainOptions(TypedDict, total=False):
    """The options of `train`, for type checkers."""

    train: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path] | None"
    valid: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path] | None"
    test: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path] | None"
    data_dir: str | Path
    cache_dir: str | Path
    name: str | None
    runs_dir: str | Path
    resume: "Run | str | Path | None"
    device: Literal["cpu", "cuda"] | None
    devices: int
    plan: str | Path | None
    callbacks: "Sequence[Callback]"
    schedule: "ScheduleFactory | None"
    on_start: Callable[[Path], None] | None
    on_progress: OnProgress
    log: Callable[[str], None] | None


@overload
def train(
    config: "str | Path | Mapping[str, Any] | Config", *, seeds: None = None, **options: Unpack[TrainOptions]
) -> Run: ...


@overload
def train(
    config: "str | Path | Mapping[str, Any] | Config", *, seeds: int, **options: Unpack[TrainOptions]
) -> list[Run]: ...


def train(
    config: "str | Path | Mapping[str, Any] | Config",
    *,
    train: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path] | None" = None,
    valid: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path] | None" = None,
    test: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path] | None" = None,
    data_dir: str | Path = ".",
    cache_dir: str | Path = DEFAULT_CACHE,
    name: str | None = None,
    runs_dir: str | Path = DEFAULT_RUNS,
    resume: "Run | str | Path | None" = None,
    device: Literal["cpu", "cuda"] | None = None,
    devices: int = 1,
    plan: str | Path | None = None,
    seeds: int | None = None,
    callbacks: "Sequence[Callback]" = (),
    schedule: "ScheduleFactory | None" = None,
    on_start: Callable[[Path], None] | None = None,
    on_progress: OnProgress = no_progress,
    log: Callable[[str], None] | None = print,
) -> Run | list[Run]:
    """Prepare the data (cached), train, evaluate the best epoch, and return the run.

    Args:
        config: what `load_config` takes: the path of a YAML file, YAML text, a dict, or a checked configuration.
        train: training rows in place of `data.train`: a data frame, or paths or globs of files.
        valid: validation rows in place of `data.valid`.
        test: test rows in place of `data.test`.
        data_dir: folder that relative paths of the section `data` start at.
        cache_dir: folder where prepared data is kept between runs; may be deleted at any time.
        name: name of the run's folder; by default that of the configuration, with a number if it is taken.
        runs_dir: folder in which run folders are made.
        resume: a stopped run to resume, trained with the same configuration and data.
        device: "cpu" or "cuda"; by default cuda where there is one.
        devices: processes that train together, each on a device of this host; they write to the terminal instead of
            calling `log` and `on_progress`. torchrun, which starts the processes itself, overrides it; then every
            process must call this function.
        plan: file that says which device holds which part of which table; by default the fastest by estimate.
        seeds: number of trainings with the seeds train.seed, train.seed + 1, ..., as runs NAME-seed-1, NAME-seed-2,
            ...; all see the same split. Called again, it trains those that are missing and goes on with one that was
            stopped. The runs are returned as a list.
        callbacks: Lightning callbacks of your own, which observe, or stop the training by `trainer.should_stop`.
            Checkpoints do not hold their state.
        schedule: makes the object that decides who trains what on which batch (`recsys/training/schedule.py`); by
            default the stages that the configuration asks for.
        on_start: called with the run's folder before the training begins.
        on_progress: called with (stage, rows done, rows in all if known) during long work.
        log: called with a line after each epoch, and with warnings about the configuration; None for silence.

    Raises:
        ConfigError: the configuration is not valid, or not that of the run to resume.
        DataError: the data does not hold what the configuration says, or a run of this name exists.
        Preempted: a SIGTERM came, and what is needed to resume is saved; a `SystemExit` with code 75.

    Example:
        ```python
        run = recsys.train("run.yaml", data_dir="data")
        run = recsys.train({"label": "click", "features": {"user": {"type": "id"}}}, train=frame)
        ```
    """
    checked = with_data(
        load_config(config, cache_dir=cache_dir), {"train": train, "valid": valid, "test": test}, cache_dir
    )
    if seeds is not None and resume is not None:
        raise ConfigError("resume: is for one run; the same call with seeds goes on with those that were stopped")
    train_one = partial(
        _train_one,
        data_dir=Path(data_dir),
        cache_dir=Path(cache_dir),
        device=device,
        devices=devices,
        plan=None if plan is None else Path(plan),
        callbacks=callbacks,
        schedule=schedule,
        on_start=on_start,
        on_progress=on_progress,
        log=log or no_log,
    )
    if seeds is None:
        return train_one(checked, name=name, runs_dir=Path(runs_dir), resume=resume)
    first = folder_by_name(name, Path(runs_dir), default=default_name(checked), kind="runs")
    return train_each_seed(
        checked, seeds, train_one, first, data_dir=Path(data_dir), cache_dir=Path(cache_dir), log=log or no_log
    )


def _train_one(
    config: Config,
    *,
    name: str | None,
    runs_dir: Path,
    resume: "Run | str | Path | None",
    data_dir: Path,
    cache_dir: Path,
    device: Literal["cpu", "cuda"] | None,
    devices: int,
    plan: Path | None,
    callbacks: "Sequence[Callback]",
    schedule: "ScheduleFactory | None",
    on_start: Callable[[Path], None] | None,
    on_progress: OnProgress,
    log: Callable[[str], None],
) -> Run:
    """Train one run of a checked configuration; arguments are those of `train`."""
    default = default_name(config)

    def choose_folder() -> Path:
        return new_run_folder(name, runs_dir, default=default) if resume is None else Path(resume)

    if devices > 1 and rank_info() is None:
        for argument, value in {"callbacks": callbacks, "schedule": schedule}.items():
            if value:
                raise ConfigError(
                    f"{argument}: cannot be handed to other processes; start this script by torchrun instead"
                )
        options = _options(data_dir=data_dir, cache_dir=cache_dir, device=device, plan=plan)
        folder = choose_folder()
        if on_start is not None:
            on_start(folder)
        return _train_on_devices(config, options, devices, folder, is_resume=resume is not None)
    return _train_here(
        config,
        choose_folder,
        is_resume=resume is not None,
        on_start=on_start,
        data_dir=data_dir,
        cache_dir=cache_dir,
        device=device,
        plan=plan,
        callbacks=callbacks,
        **({} if schedule is None else {"schedule": schedule}),
        on_progress=on_progress,
        log=log,
    )


def launch_training(
    argv: Sequence[str],
    devices: int,
    folder: Path,
    *,
    is_resume: bool,
    resume_command: Callable[[int], str | None] = lambda _: None,
) -> Outcome:
    """Run `recsys train ARGV` in several new processes, all in one run folder, and return how it ended.

    Args:
        argv: the configuration and options of each process.
        devices: number of processes.
        folder: the folder of the run.
        is_resume: the folder is that of a stopped run.
        resume_command: given the exit code, returns the command that resumes the training, or None.
    """
    where = ["--resume", str(folder)] if is_resume else ["--name", folder.name, "--runs-dir", str(folder.parent)]
    return launch(["train", *argv, *where], devices, resume_command=resume_command)


def _train_here(
    config: Config,
    choose_folder: Callable[[], Path],
    *,
    is_resume: bool,
    device: Literal["cpu", "cuda"] | None,
    on_start: Callable[[Path], None] | None,
    **options: Any,
) -> Run:
    """Train in this process, beside others if the environment says so: rank 0 chooses the folder for all."""
    with quiet_packages():
        from recsys.ranks import broadcast  # not at the top: torch takes seconds to import
        from recsys.ranks.process_group import process_group
        from recsys.training.run import train as train_run
        from recsys.training.strategy import pick_device

        with process_group(pick_device(device).type) as world:
            folder = choose_folder() if is_resume else broadcast(choose_folder() if world.is_rank_zero else None)
            assert folder is not None
            if on_start is not None and world.is_rank_zero:
                on_start(folder)
            train_run(config, folder=folder, resume=is_resume, device=device, world=world, **options)
    return Run(folder)


def _train_on_devices(config: Config, options: list[str], devices: int, folder: Path, *, is_resume: bool) -> Run:
    run = RunFolder(folder)
    if is_resume and run.is_run:  # the new processes cannot tell what was stated from what is a default by now
        config = recall_defaults(config, load_run_config(run.config))
    text = dump(config)
    if local := re.search(r"\b__main__:\w+", text):
        raise ConfigError(
            f"{local.group()} is defined in a notebook or script, from which {devices} new processes cannot import it; "
            "move it to a module"
        )
    with scratch_folder() as scratch:
        path = scratch / "run.yaml"
        path.write_text(text, encoding="utf-8")
        ended = launch_training([str(path), *options], devices, folder, is_resume=is_resume)
    if ended.code == 130:
        raise KeyboardInterrupt
    if ended.code == Preempted.EXIT_CODE:
        raise Preempted
    if ended.code:
        reason = (ended.message or f"exit code {ended.code}").removeprefix("error: ")
        raise RecsysError(f"{folder}: training on {devices} devices failed: {reason}")
    return Run(folder)


def _options(**given: object) -> list[str]:
    named = {name.replace("_", "-"): value for name, value in given.items() if value is not None}
    return [word for name, value in named.items() for word in (f"--{name}", str(value))]
