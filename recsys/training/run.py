"""The story of one run: prepare, build, fit, take the best epoch, evaluate, write it all down."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from recsys.checkpoint.load import load_checkpoint
from recsys.checksums import recording
from recsys.config import Config, warnings_of
from recsys.data.classes import check_splits, missing_figures
from recsys.data.downsample import describe_rows_left
from recsys.data.lengths import mean_lengths
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.data.splits import SplitName
from recsys.embeddings.scheme import bytes_by_phase
from recsys.errors import DataError
from recsys.features.coverage_report import coverage_report
from recsys.features.warn import warnings_about
from recsys.files import write_atomic, write_json
from recsys.model import CtrModel
from recsys.progress import OnProgress, no_log, no_progress
from recsys.ranks import SINGLE_PROCESS, World, broadcast
from recsys.run_folder import RunFolder
from recsys.sharding import ShardingPlan, describe_plan, largest_tables, plan_for_run, read_plan
from recsys.training.allocator import keep_large_blocks
from recsys.training.build import LoadedModel, build
from recsys.training.cape import make_schedule
from recsys.training.final import evaluate_best
from recsys.training.fit import fit
from recsys.training.memory import explaining_out_of_memory
from recsys.training.precision import resolve_precision, slow_precision_warnings
from recsys.training.progress import TrainProgress
from recsys.training.schedule import ScheduleFactory
from recsys.training.start import (
    begin,
    check_classes,
    prepare_in_turn,
    recall_start,
    undoing_start,
)
from recsys.training.strategy import pick_device

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

__all__ = ["TrainResult", "train"]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The result of a run."""

    folder: Path
    """The folder of the run."""
    metrics: dict[str, float]
    """The figures of metrics.json: "test.auc", "valid.logloss", "rows_per_second", ..."""


def train(
    config: Config,
    *,
    data_dir: Path,
    cache_dir: Path,
    folder: Path,
    resume: bool = False,
    device: str | None = None,
    world: World = SINGLE_PROCESS,
    plan: Path | None = None,
    schedule: ScheduleFactory = make_schedule,
    callbacks: Sequence["Callback"] = (),
    evaluated: Sequence[SplitName] = ("test", "valid"),
    on_progress: OnProgress = no_progress,
    log: Callable[[str], None] = print,
) -> TrainResult:
    """Train a configuration, from raw files to metrics; of several ranks, all must call it.

    Args:
        config: The checked configuration.
        data_dir: Folder that the paths in `data` are relative to.
        cache_dir: Folder where prepared data are kept between runs.
        folder: Folder of the run; must be new, unless `resume`.
        resume: Go on from the run's last checkpoint.
        device: "cpu" or "cuda". Default: CUDA where there is a device.
        world: This process and how many there are, as from `ranks.join`.
        plan: A file with the sharding plan. Default: the plan that is estimated to be fastest.
        schedule: Makes the schedule, which decides who trains what on which batch. Default: as the configuration says.
        callbacks: Callbacks of Lightning. They observe, or stop training by `trainer.should_stop`; their module is the
            `TrainLoop`.
        evaluated: Splits that are scored with the best epoch. A search, which must not see the test rows, leaves them
            out.
        on_progress: Called on rank 0 as preparing, training and scoring go on.
        log: Called on rank 0 with one line after each epoch, and before the first with warnings.

    Raises:
        ConfigError: The run to resume was made with another configuration, or training diverged.
        DataError: The data are not what the configuration promises, or have changed since the run began.
        LockedError: Another process trains this run.
        ShardingError: The tables do not fit.
    """
    run = RunFolder(folder)
    on_device = pick_device(device, world)
    if on_device.type == "cpu":
        keep_large_blocks()
    if not world.is_rank_zero:
        on_progress, log = no_progress, no_log  # rank 0 speaks for all
    if plan is not None:
        read_plan(plan, world)  # before anything is written
    check_classes(config)
    config = resolve_precision(config, on_device, resumed=run if resume else None)
    config = recall_start(config, run) if resume else config
    prepared = prepare_in_turn(world, partial(prepare, config, data_dir, cache_dir, on_progress))
    check_splits(prepared.splits, prepared.resolved.config)
    for warning in [
        *warnings_of(prepared.resolved),
        *warnings_about(prepared.resolved, prepared.state),
        *slow_precision_warnings(config, on_device),
        *(missing_figures(prepared.splits, prepared.resolved.config) if "test" in evaluated else []),
    ]:
        log(f"warning: {warning}")
    train_split = prepared.splits["train"]
    if train_split.left_out:
        log(describe_rows_left(config, train_split.num_rows, train_split.left_out))
    if not resume:
        coverage = {name: split.coverage for name, split in prepared.splits.items()}
        for line in coverage_report(coverage, prepared.resolved, prefix="data."):
            log(line)
    with begin(run, prepared, data_dir=data_dir, world=world, resume=resume):
        make_plan = partial(
            _sharding_plan, prepared=prepared, run=run, device=on_device, world=world, path=plan, log=log
        )
        is_new = world.is_rank_zero and not resume
        explain_memory = partial(explaining_out_of_memory, lambda: largest_tables(run.sharding_plan, world.rank))
        with undoing_start(run) if is_new else nullcontext(), explain_memory():
            loaded = build(prepared.resolved, prepared.state, device=on_device, world=world, make_plan=make_plan)
        with explain_memory():
            progress = fit(
                loaded,
                prepared,
                run,
                schedule=schedule,
                callbacks=callbacks,
                resume=resume,
                device=on_device,
                on_progress=on_progress,
                log=log,
            )
            load_checkpoint(run.best_checkpoint, loaded.model)
            metrics = broadcast(
                evaluate_best(loaded, prepared, run, evaluated, on_progress, log) | _run_figures(loaded, progress)
            )
        if world.is_rank_zero:
            with recording(run.metrics):
                write_json(run.metrics, metrics)
    return TrainResult(folder, metrics)


def _sharding_plan(
    model: CtrModel,
    *,
    prepared: Prepared,
    run: RunFolder,
    device: torch.device,
    world: World,
    path: Path | None,
    log: Callable[[str], None],
) -> ShardingPlan:
    """Make the sharding plan, write it to the run folder and, with several ranks, log it."""
    train = prepared.resolved.config.train
    lengths = mean_lengths(prepared.splits["train"], prepared.resolved)
    plan = plan_for_run(model.layout, model.tower, train, lengths=lengths, device=device, world=world, path=path)
    if not run.is_run:  # rank 0 has started it before it made the plan
        raise DataError(f"{run.path}: rank {world.rank} does not see what rank 0 wrote there: all hosts must share it")
    if world.is_rank_zero:
        write_atomic(run.sharding_plan, plan.to_json())
    if world.size > 1:
        for line in describe_plan(plan):
            log(line)
    return plan


def _run_figures(loaded: LoadedModel, progress: TrainProgress) -> dict[str, float]:
    """Return the figures of metrics.json that are not metrics of a split."""
    by_phase = bytes_by_phase(loaded.layout.schemes.values(), loaded.resolved.config.train)
    return {
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "seconds": progress.train_seconds,
        "rows_per_second": progress.rows_per_second,
        "embedding_bytes": by_phase["training"],
        **{f"embedding_bytes.{phase}": value for phase, value in by_phase.items()},
    }
