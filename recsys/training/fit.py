"""Fitting: everything a training loop needs is made here and handed to Lightning's trainer."""

import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from recsys.calibration import build_link
from recsys.checkpoint.folder import find_checkpoint
from recsys.config import Config, EarlyStopping
from recsys.data.downsample import mean_weight_of_all
from recsys.data.prepared import Prepared, PreparedSplit
from recsys.evaluation.metrics import resolve_metric
from recsys.progress import OnProgress
from recsys.ranks import StepSignals, on_rank_zero
from recsys.ranks.signals import Preempted, saving_on_sigterm, stop_requested
from recsys.run_folder import RunFolder
from recsys.training.batches import TrainBatches, ValidBatches
from recsys.training.build import LoadedModel, read_split
from recsys.training.checkpoints import RunCheckpoints
from recsys.training.epoch_log import EpochLog
from recsys.training.loop import TrainLoop
from recsys.training.progress import TrainProgress
from recsys.training.schedule import ScheduleContext, ScheduleFactory
from recsys.training.strategy import TorchRecStrategy
from recsys.training.task import CtrTask, Negatives

__all__ = ["fit"]

_log = logging.getLogger(__name__)


def fit(
    loaded: LoadedModel,
    prepared: Prepared,
    run: RunFolder,
    *,
    schedule: ScheduleFactory,
    callbacks: Sequence[Callback],
    resume: bool,
    device: torch.device,
    on_progress: OnProgress,
    log: Callable[[str], None],
) -> TrainProgress:
    """Train until the epochs are over or the metric stands still; every rank must call it.

    Args:
        loaded: The model.
        prepared: The prepared splits.
        run: The folder of the run, which has its configuration.
        schedule: Makes the schedule.
        callbacks: The user's, which observe.
        resume: Go on from the last checkpoint, if there is one.
        device: The device of this rank.
        on_progress: Called with the rows of an epoch that are trained.
        log: Called with one line an epoch.

    Returns:
        How far training came; the best epoch is in `run.best_checkpoint`.

    Raises:
        ConfigError: Training diverged.
        Preempted: A SIGTERM came; the last checkpoint is complete.
    """
    config = loaded.resolved.config.train
    progress = TrainProgress()
    checkpoints = RunCheckpoints(run.checkpoints, progress, minutes=config.checkpoint_minutes, seed=config.seed)

    def poll_signals() -> StepSignals:
        return StepSignals(save=loaded.world.is_rank_zero and checkpoints.poll_due(), stop=stop_requested())

    tasks = list(loaded.resolved.config.labels)
    mean_weight = prepared.splits["train"].mean_weight
    task = CtrTask(
        loaded.model,
        config,
        tasks,
        mean_weight=mean_weight,
        world=loaded.world,
        poll_signals=poll_signals,
        negatives=_negatives(loaded.resolved.config, prepared.splits["train"]),
    )
    schedule_state = {}
    if resume and on_rank_zero(lambda: find_checkpoint(run.last_checkpoint)):
        schedule_state = checkpoints.restore(task)
        log(_describe_resumed(progress))
    epoch_log = EpochLog(run.epochs if loaded.world.is_rank_zero else None)
    epoch_log.drop_after(progress.epoch)
    if progress.finished:
        return progress
    train_batches = TrainBatches(loaded, prepared.splits["train"], progress, task)
    num_batches = train_batches.reader.num_batches
    context = ScheduleContext(loaded, task, progress, checkpoints, num_batches, log, prepared.splits)
    made = schedule(context)
    made.load_state_dict(schedule_state)
    train_batches.find_targets = made.targets
    metric = resolve_metric((config.early_stopping or EarlyStopping()).metric)
    loop = TrainLoop(
        task,
        made,
        config,
        progress=progress,
        checkpoints=checkpoints,
        epoch_log=epoch_log,
        metric=metric,
        num_batches=num_batches,
        num_rows=train_batches.reader.num_rows,
        on_progress=on_progress,
        log=log,
    )
    valid_batches = ValidBatches(read_split(loaded, prepared.splits["valid"]))
    try:
        _run(loop, train_batches, valid_batches, run, callbacks, device)
    finally:
        # The trainer holds batches until garbage is collected. Of several ranks, the thread may wait for one that is
        # gone, so it ends with the process.
        if loaded.world.size == 1:
            train_batches.reader.close()
            valid_batches.reader.close()
            made.close()
    return progress


def _negatives(config: Config, train: PreparedSplit) -> Negatives | None:
    """Return what the task must know of negatives that were left out; None if none were."""
    rate = config.data.negative_rate
    if rate is None:
        return None
    return Negatives(rate, build_link(config), mean_weight_of_all(train, rate))


def _describe_resumed(progress: TrainProgress) -> str:
    if progress.finished:
        return f"training was over after epoch {progress.epoch}"
    if progress.batch:
        return f"resuming after batch {progress.batch} of epoch {progress.epoch + 1}"
    return f"resuming after epoch {progress.epoch}"


def _run(
    loop: TrainLoop,
    train_batches: TrainBatches,
    valid_batches: ValidBatches,
    run: RunFolder,
    callbacks: Sequence[Callback],
    device: torch.device,
) -> None:
    """Let Lightning run the loop; a save that has begun comes to its end, whatever happens."""
    trainer = _make_trainer(loop, run, callbacks, device)
    done = trainer.fit_loop.epoch_progress.current
    done.processed = done.completed = loop.progress.epoch  # type: ignore[attr-defined]
    with saving_on_sigterm(loop.log_line):
        try:
            trainer.fit(loop, train_batches, valid_batches)
        except BaseException as error:
            loop.checkpoints.settle()
            if isinstance(error, SystemExit):  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from error
            raise
    if loop.is_preempted:
        raise Preempted


def _make_trainer(loop: TrainLoop, run: RunFolder, callbacks: Sequence[Callback], device: torch.device) -> Trainer:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # device lists and tips are `recsys doctor`'s
    is_rank_zero = loop.task.world.is_rank_zero
    return Trainer(
        accelerator="cpu" if device.type == "cpu" else "gpu",
        devices=1,
        strategy=TorchRecStrategy(device),
        max_epochs=loop.config.epochs,
        logger=is_rank_zero and _event_files(run),
        callbacks=list(callbacks),
        enable_progress_bar=False,  # ours also fits into a log, and beside the bars of preparing and scoring
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        inference_mode=False,  # the end of an epoch changes what is trained further
    )


def _event_files(run: RunFolder) -> Logger | Literal[False]:
    """Return the logger that writes TensorBoard's event files, or False where tensorboard is not installed."""
    if find_spec("tensorboard") is None:
        _log.debug("tensorboard is not installed, so the run has no event files: pip install 'recsys[tensorboard]'")
        return False
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(run.path, name="tensorboard", version="")
