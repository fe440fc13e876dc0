"""The story of one run: prepare, build, fit, take the best epoch, evaluate, write it all down."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import ndiff
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, LambdaCallback
from lightning.pytorch.loggers import Logger
from torch import Tensor

from recsys.checkpoint.folder import find_checkpoint
from recsys.checkpoint.load import load_checkpoint
from recsys.config import Config, EarlyStopping, dump, load_config, resolve, warnings_of
from recsys.data.lengths import mean_lengths
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.data.reader import Position, Reader
from recsys.data.rows import Rows
from recsys.embeddings import Batch, count_rows
from recsys.embeddings.scheme import bytes_by_phase
from recsys.environment import environment_record
from recsys.errors import ConfigError, DataError
from recsys.files import write_atomic, write_json
from recsys.model import CtrModel
from recsys.progress import OnProgress, no_progress
from recsys.ranks import SINGLE_PROCESS, Exchange, StepSignals, World, broadcast, on_rank_zero, sum_over_ranks
from recsys.ranks.process_group import reader_group
from recsys.ranks.signals import Preempted, reinstall_handler, saving_on_sigterm, stop_requested
from recsys.run_folder import RunFolder
from recsys.sharding import Placement
from recsys.training.allocator import keep_large_blocks
from recsys.training.build import LoadedModel, build, reader_of, score_split
from recsys.training.callbacks import Checkpoints, EpochReport, Progress, ReduceLearningRates, ShowRows, StopEarly
from recsys.training.golden import write_golden_rows
from recsys.training.memory import explaining_out_of_memory
from recsys.training.sharding import describe, largest_tables, place_tables, read_plan
from recsys.training.stages import Stages
from recsys.training.strategy import TorchRecStrategy, pick_device
from recsys.training.task import CtrTask

__all__ = ["TrainResult", "check_splits", "train"]

_log = logging.getLogger(__name__)

MOST_CHANGES = 8
"""Lines of a configuration that are shown when it is not that of the run."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run ended with."""

    folder: Path
    metrics: dict[str, float]
    """As in metrics.json: "test.auc", "valid.logloss", "rows_per_second", ..."""


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
    callbacks: Sequence[Callback] = (),
    on_progress: OnProgress = no_progress,
    say: Callable[[str], None] = print,
) -> TrainResult:
    """Run a configuration from raw files to metrics; with several ranks, all must call it.

    Args:
        config: the checked configuration.
        data_dir: what the paths in `data` are relative to.
        cache_dir: where prepared data is kept between runs.
        folder: of the run; must be new, unless `resume`.
        resume: go on from the folder's last checkpoint.
        device: "cpu" or "cuda"; the best there is when not given.
        world: what `init_process_group` returned.
        plan: a file that says which rank holds which part of which table; what is fastest by estimate when not given.
        callbacks: the user's own, called after ours but before the checkpoint is written.
        on_progress: called on rank 0 as preparing, training and scoring go on.
        say: on rank 0 told one line after each epoch, and before all of them what is doubtful about the configuration.

    Raises:
        ConfigError: the run to go on with was made with another configuration.
        DataError: the data is not what the configuration promised, or has changed since.
    """
    placed = pick_device(device, world)
    if placed.type == "cpu":
        keep_large_blocks()
    if not world.is_rank_zero:
        on_progress, say = no_progress, _say_nothing
    if plan is not None:
        read_plan(plan, world)  # before anything is written
    prepared = _prepare_in_turn(world, partial(prepare, config, data_dir, cache_dir, on_progress))
    check_splits(prepared)
    for warning in warnings_of(prepared.resolved):
        say(f"warning: {warning}")
    if resume:
        _check_same_run(folder, prepared)
    elif world.is_rank_zero:
        _write_beginning(folder, prepared, data_dir)
    place = partial(_place, prepared=prepared, folder=folder, device=placed, world=world, plan=plan, say=say)
    with explaining_out_of_memory(lambda: largest_tables(RunFolder(folder).sharding_plan, world.rank)):
        built = build(prepared.resolved, prepared.state, device=placed, world=world, place=place)
        done = _fit(built, prepared, folder, callbacks, resume=resume, device=placed, on_progress=on_progress, say=say)
        load_checkpoint(RunFolder(folder).best_checkpoint, built.model)
        metrics = broadcast(_evaluate(built, prepared, folder, on_progress) | _figures(built, done))
    if world.is_rank_zero:
        write_json(RunFolder(folder).metrics, metrics)
    return TrainResult(folder, metrics)


def _place(
    model: CtrModel,
    *,
    prepared: Prepared,
    folder: Path,
    device: torch.device,
    world: World,
    plan: Path | None,
    say: Callable[[str], None],
) -> Placement:
    """Decide where the tables go; keep it in the run folder and, of several ranks, say it."""
    train = prepared.resolved.config.train
    lengths = mean_lengths(prepared.splits["train"], prepared.resolved)
    found = place_tables(model, train, lengths=lengths, device=device, world=world, plan=plan)
    if not RunFolder(folder).is_run:  # rank 0 has written it before it placed tables
        raise DataError(f"{folder}: rank {world.rank} does not see what rank 0 wrote there: all hosts must share it")
    if world.is_rank_zero:
        write_atomic(RunFolder(folder).sharding_plan, found.to_json())
    if world.size > 1:
        for line in describe(found):
            say(line)
    return found


def _say_nothing(_line: str) -> None:
    """Leave it to rank 0."""


def _prepare_in_turn(world: World, prepare_all: Callable[[], Prepared]) -> Prepared:
    """Prepare on rank 0; then on the other hosts, which may share its disk; then let the others find it prepared."""
    turn = 0 if world.is_rank_zero else 1 if world.local_rank == 0 else 2
    prepared = None
    for now in range(3 if world.size > 1 else 1):
        if now == turn:
            prepared = prepare_all()
        broadcast(None)
    assert prepared is not None
    return prepared


class _Epochs:
    """Training as Lightning counts it: each iteration gives the numbers of the batches left in the epoch.

    The batches themselves go from the reader to the task's pipeline, which is ahead of the counting. This has no
    length, for Lightning would take that of a resumed epoch for the length of all epochs.
    """

    def __init__(self, reader: Reader[Batch], progress: Progress, task: CtrTask, count: Callable[[], None]) -> None:
        self.reader = reader
        self.progress = progress
        self.task = task
        self.count = count
        """Counts the uses of rows, which a new stage may give to other ids."""
        self.counted_stage = -1

    def __iter__(self) -> Iterator[int]:
        self.reader.position = Position(self.progress.epoch, self.progress.batch)
        if self.counted_stage != self.progress.stage:
            self.count()
            self.counted_stage = self.progress.stage
        self.task.steps.begin(iter(self.reader))
        return iter(range(self.progress.batch, self.reader.num_batches))


class _Once:
    """The validation data: each iteration is the whole split in order."""

    def __init__(self, reader: Reader[Batch]) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return self.reader.num_batches

    def __iter__(self) -> Iterator[Batch]:
        self.reader.position = Position()
        return iter(self.reader)


def _fit(
    built: LoadedModel,
    prepared: Prepared,
    folder: Path,
    own_callbacks: Sequence[Callback],
    *,
    resume: bool,
    device: torch.device,
    on_progress: OnProgress,
    say: Callable[[str], None],
) -> Progress:
    """Train until the epochs are over or the metric stands still."""
    config = built.resolved.config.train
    progress = Progress()
    keeper = Checkpoints(
        RunFolder(folder).checkpoints,
        progress,
        minutes=config.checkpoint_minutes,
        epochs=config.epochs,
        seed=config.seed,
    )

    def poll_signals() -> StepSignals:
        return StepSignals(save=built.world.is_rank_zero and keeper.due(), stop=stop_requested())

    task = CtrTask(
        built.model, config, list(built.resolved.config.labels), world=built.world, poll_signals=poll_signals
    )
    watched = (config.early_stopping or EarlyStopping()).metric
    lines = RunFolder(folder).epochs if built.world.is_rank_zero else None
    report = EpochReport(progress, lines, metric=watched, say=say)
    if resume and on_rank_zero(lambda: find_checkpoint(RunFolder(folder).last_checkpoint)):
        keeper.restore(task)
        where = f"batch {progress.batch} of epoch {progress.epoch + 1}" if progress.batch else f"epoch {progress.epoch}"
        say(f"training was over after epoch {progress.epoch}" if progress.finished else f"going on after {where}")
    report.forget_the_future()
    if not progress.finished:
        train_data, valid_data = _readers(built, prepared, progress, task)
        stages = Stages(progress, keeper, built, steps_per_epoch=train_data.reader.num_batches, say=say)
        callbacks = _callbacks(built, progress, report, stages, own_callbacks, keeper)
        callbacks.append(ShowRows(progress, train_data.reader.num_rows, config.batch_size, on_progress))
        trainer = _trainer(built, folder, callbacks, device)
        done = trainer.fit_loop.epoch_progress.current
        done.processed = done.completed = progress.epoch  # type: ignore[attr-defined]
        with saving_on_sigterm(say):
            try:
                trainer.fit(task, train_data, valid_data)
            except SystemExit as stop:  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from stop
        if keeper.stopped:
            raise Preempted
    return progress


def _callbacks(
    built: LoadedModel,
    progress: Progress,
    report: EpochReport,
    stages: Stages,
    own: Sequence[Callback],
    keeper: Checkpoints,
) -> list[Callback]:
    """Return what happens after each batch and each validation, in this order."""
    config = built.resolved.config.train
    callbacks: list[Callback] = [LambdaCallback(on_train_start=lambda *_: reinstall_handler()), report]
    if config.lr_reduction is not None:
        callbacks.append(ReduceLearningRates(progress, config.lr_reduction))
    callbacks.append(stages)
    if config.early_stopping is not None:
        callbacks.append(StopEarly(progress, config.early_stopping))
    return [*callbacks, *own, keeper]  # last: it saves what the others decided


def _readers(built: LoadedModel, prepared: Prepared, progress: Progress, task: CtrTask) -> tuple[_Epochs, _Once]:
    config = built.resolved.config.train
    counts: dict[str, Tensor] = {}

    def count() -> None:
        if config.regularization.rows:
            raw: Reader[Rows] = Reader(
                prepared.splits["train"],
                built.resolved,
                batch_size=2**14 * built.world.size,
                collate=lambda rows: rows,
                seed=None,
                world=built.world,
            )
            found = count_rows(built.layout, raw)
            counts.update({name: sum_over_ranks(uses) for name, uses in found.items()})

    train_data: Reader[Batch] = Reader(
        prepared.splits["train"],
        built.resolved,
        batch_size=config.batch_size,
        collate=partial(
            built.layout.collate, row_counts=counts, exchange=Exchange(built.world, reader_group(), task.poll_signals)
        ),
        seed=config.seed,
        world=built.world,
    )
    return _Epochs(train_data, progress, task, count), _Once(reader_of(built, prepared.splits["valid"]))


def _trainer(built: LoadedModel, folder: Path, callbacks: list[Callback], device: torch.device) -> Trainer:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # device lists and tips are `recsys doctor`'s
    is_rank_zero = built.world.is_rank_zero
    return Trainer(
        accelerator="cpu" if device.type == "cpu" else "gpu",
        devices=1,
        strategy=TorchRecStrategy(device),
        max_epochs=built.resolved.config.train.epochs,
        logger=is_rank_zero and _event_files(folder),
        callbacks=callbacks,
        enable_progress_bar=False,  # ours also fits into a log, and beside the bars of preparing and scoring
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        inference_mode=False,  # stages change what is trained further in a validation's callbacks
    )


def _event_files(folder: Path) -> Logger | Literal[False]:
    """Return the logger that writes TensorBoard's event files, or False where tensorboard is not installed."""
    if find_spec("tensorboard") is None:
        _log.debug("tensorboard is not installed, so the run has no event files: pip install 'recsys[tensorboard]'")
        return False
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name="tensorboard", version="")


def _evaluate(built: LoadedModel, prepared: Prepared, folder: Path, on_progress: OnProgress) -> dict[str, float]:
    """Score validation and test rows with the best epoch, and keep the predictions."""
    tasks = list(built.resolved.config.labels)
    metrics: dict[str, float] = {}
    for split in ("test", "valid"):
        if split in prepared.splits and prepared.splits[split].num_rows:
            scores = score_split(built, prepared.splits[split], on_progress=on_progress)
            if scores is None:
                continue
            scores.write(RunFolder(folder).predictions(split), tasks)
            metrics |= {f"{split}.{name}": value for name, value in scores.metrics(tasks).items()}
    return metrics


def _figures(built: LoadedModel, done: Progress) -> dict[str, float]:
    by_phase = bytes_by_phase(built.layout.schemes.values(), built.resolved.config.train)
    return {
        "epochs": done.epoch,
        "best_epoch": done.best_epoch,
        "seconds": done.train_seconds,
        "rows_per_second": done.train_rows / max(done.train_seconds, 1e-9),
        "embedding_bytes": by_phase["training"],
        **{f"embedding_bytes.{phase}": value for phase, value in by_phase.items()},
    }


def check_splits(prepared: Prepared) -> None:
    """Refuse data that teaches nothing, or on which no epoch is better than another.

    Raises:
        DataError: training or validation rows are of one class, or there are none to validate on.
    """
    if prepared.splits["valid"].num_rows == 0:
        raise DataError("data.valid: has no rows, and the best epoch is chosen on them")
    for name in ("train", "valid"):
        split = prepared.splits[name]
        for task, column in prepared.resolved.config.labels.items():
            if split.positives[task] in (0, split.num_rows):
                value = 1 if split.positives[task] else 0
                raise DataError(
                    f"data.{name}: {column} is {value} in all {split.num_rows:,} rows; AUC needs both classes"
                )


def _write_beginning(folder: Path, prepared: Prepared, data_dir: Path) -> None:
    """Write what is known before training; refuse a folder that holds something."""
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder}: exists already; name another folder with --name, or go on with it with --resume")
    folder.mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder)
    prepared.state.save(run.transform)
    write_golden_rows(prepared.resolved, data_dir, run.golden_rows)
    write_json(run.environment, environment_record())
    started = time.strftime("%FT%TZ", time.gmtime())
    write_json(run.data, {"prepared": prepared.folder.name, "started": started})
    write_atomic(run.config, dump(prepared.resolved.config))  # last: it makes the folder a run


def _check_same_run(folder: Path, prepared: Prepared) -> None:
    """Refuse to go on with another configuration or other data: the result would be nobody's."""
    run = RunFolder(folder)
    run.require_run()
    before = resolve(load_config(run.config), columns=[])  # its globs were expanded when it was written
    then, now = (dump(plan.without_sharding()).splitlines() for plan in (before, prepared.resolved))
    if then != now:
        changed = [line for line in ndiff(then, now) if line[0] in "+-"]
        shown = "\n  ".join(changed[:MOST_CHANGES])
        raise ConfigError(f"{folder}: was made with another configuration; compare with {run.config}:\n  {shown}")
    if json.loads(run.data.read_text())["prepared"] != prepared.folder.name:
        raise DataError(f"{folder}: the data files have changed since the run began")
