"""`recsys train`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from recsys.api.defaults import DEFAULT_CACHE, DEFAULT_RUNS
from recsys.cli.options import CacheDir, ConfigFile, DataDir, Device, data_options

__all__ = ["train"]


def train(
    config: ConfigFile,
    data_dir: DataDir = Path(),
    name: Annotated[
        str | None, typer.Option(help="Name of the run; by default that of the config, with a number if it is taken.")
    ] = None,
    runs_dir: Annotated[Path, typer.Option(help="Folder in which run folders are made.")] = DEFAULT_RUNS,
    resume: Annotated[Path | None, typer.Option(help="Run folder of a stopped training to resume.")] = None,
    cache_dir: CacheDir = DEFAULT_CACHE,
    device: Device = None,
    devices: Annotated[
        int,
        typer.Option(
            help="Number of processes that train together, each on a device of this host; torchrun overrides it.",
            min=1,
        ),
    ] = 1,
    plan: Annotated[
        Path | None,
        typer.Option(help="Plan of which device holds what, from `recsys plan --out` or a run's plan.json."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Number of seeds to train: train.seed and those after it, as runs NAME-seed-1, NAME-seed-2, ...; "
            "called again, it trains those that are missing.",
            min=1,
        ),
    ] = None,
) -> None:
    """Prepare the data (cached), train, and evaluate the best epoch.

    Any number of devices trains the same model, and resumes a run of any other number. On several hosts, torchrun
    starts the processes. SIGTERM saves a checkpoint and stops with exit code 75. With --seeds, the mean of the figures
    and their spread are printed; `recsys compare 'runs/a-seed-*' 'runs/b-seed-*'` says which of two models is better.

    Example: `recsys train pipelines/frappe_autoint/run.yaml --data-dir DIR`, then with two processes
    `recsys train run.yaml --devices 2`, or on each of four hosts
    `torchrun --nnodes 4 --nproc-per-node 8 ... -m recsys train run.yaml`
    """
    from recsys.api.config import load_config
    from recsys.cli.train import figures, train_here, train_on, train_seeds
    from recsys.launch.torchrun import rank_info

    loaded = load_config(config)
    argv = [str(config), *data_options(data_dir, cache_dir)]
    argv += [] if device is None else ["--device", device]
    argv += [] if plan is None else ["--plan", str(plan)]
    if seeds is not None:
        train_seeds(
            loaded,
            seeds,
            argv,
            devices=devices,
            name=name,
            runs_dir=runs_dir,
            resume=resume,
            data_dir=data_dir,
            cache_dir=cache_dir,
            device=device,
            plan=plan,
        )
        return
    if devices > 1 and rank_info() is None:
        sys.exit(train_on(devices, config, argv, name=name, runs_dir=runs_dir, resume=resume))
    run = train_here(
        loaded,
        argv,
        resume=resume,
        data_dir=data_dir,
        cache_dir=cache_dir,
        name=name,
        runs_dir=runs_dir,
        device=device,
        plan=plan,
    )
    if run is not None:
        print(f"{run.path}: {figures(run.metrics)}")
