"""Builds a model that can be trained or asked for scores, from a configuration or from a run folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.calibration import Calibrator, build_link
from recsys.checkpoint.load import load_checkpoint
from recsys.config import DataSection, ResolvedConfig, load_resolved
from recsys.data.prepare import prepare_split
from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Reader
from recsys.embeddings import Batch, Layout
from recsys.embeddings.vocabularies import feature_vocabularies
from recsys.features.coverage_report import coverage_report, name_files
from recsys.features.state import TransformState
from recsys.model import CtrModel, layout_of
from recsys.progress import OnProgress, no_log, no_progress
from recsys.ranks import SINGLE_PROCESS, Exchange, World
from recsys.ranks.process_group import reader_group
from recsys.ranks.seeds import derive_seed
from recsys.run_folder import RunFolder
from recsys.sharding import ShardingPlan
from recsys.training.calibrate import read_calibrator
from recsys.training.scoring import Scores, score
from recsys.training.strategy import shard

__all__ = ["LoadedModel", "build", "load_run", "read_split", "score_alone", "score_files", "score_split"]

EVALUATION_ROWS = 16_384
"""Rows of a batch without gradients, on each rank: enough to keep the kernels busy, few enough for wide towers."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A sharded model and what its batches are made with."""

    resolved: ResolvedConfig
    """The configuration, globs expanded."""
    state: TransformState
    """The fitted state of the features: vocabularies and statistics."""
    layout: Layout
    """The embedding schemes, and how the ids of a batch become rows of their tables."""
    model: DistributedModelParallel
    """The CtrModel, sharded by TorchRec; `model.module` is the CtrModel itself."""
    world: World = SINGLE_PROCESS
    """This process and how many there are."""
    calibrator: Calibrator | None = None
    """Calibration that was fitted on the validation rows; None before the end of training, and where there is none."""


def build(
    resolved: ResolvedConfig,
    state: TransformState,
    *,
    device: torch.device,
    world: World = SINGLE_PROCESS,
    make_plan: Callable[[CtrModel], ShardingPlan] | None = None,
) -> LoadedModel:
    """Build the model of a configuration, its parameters drawn from `train.seed`; every rank must call it.

    Args:
        resolved: The configuration, globs expanded.
        state: The fitted state of the features.
        device: The device of this rank.
        world: This process and how many there are.
        make_plan: Returns the sharding plan of the model; None for a single process.
    """
    train = resolved.config.train
    torch.manual_seed(train.seed)
    layout = layout_of(resolved, feature_vocabularies(resolved, state))
    model = CtrModel(resolved, layout)
    sharded = shard(
        model,
        train.sparse_optimizer,
        device=device,
        plan=None if make_plan is None else make_plan(model),
        seed=train.seed,
        communication=train.communication,
    )
    if not world.is_rank_zero:
        torch.manual_seed(derive_seed(train.seed, "rank", world.rank))  # the rows of another rank drop out apart
    return LoadedModel(resolved, state, layout, sharded, world)


def load_run(folder: Path, *, device: torch.device) -> LoadedModel:
    """Load the model of a run's best epoch, and its calibration, in one process.

    Args:
        folder: The folder of the run.
        device: Where the model is to be.

    Raises:
        DataError: The folder is not that of a run, there is no best epoch yet, or it is not calibrated yet.
    """
    run = RunFolder(folder)
    run.require_run()
    resolved = load_resolved(run.config)
    loaded = build(resolved, TransformState.load(run.transform), device=device)
    load_checkpoint(run.best_checkpoint, loaded.model)
    return replace(loaded, calibrator=read_calibrator(run, resolved.config))


def read_split(
    loaded: LoadedModel, split: PreparedSplit, *, batch_size: int | None = None, seed: int | None = None
) -> Reader[Batch]:
    """Return a reader of a split that yields this rank's part of each batch.

    Args:
        loaded: The model.
        split: The prepared rows.
        batch_size: Rows of a batch over all ranks. Default: as many as are scored at a time.
        seed: Seed of the order of rows; None reads them in order.
    """
    return Reader(
        split,
        loaded.resolved,
        batch_size=batch_size or EVALUATION_ROWS * loaded.world.size,
        collate=partial(loaded.layout.collate, exchange=Exchange(loaded.world, reader_group())),
        seed=seed,
        world=loaded.world,
    )


def score_split(loaded: LoadedModel, split: PreparedSplit, *, on_progress: OnProgress = no_progress) -> Scores | None:
    """Score a prepared split; every rank must call it.

    Returns:
        The scores in the order of the split's rows; None on other ranks than 0.

    Raises:
        DataError: The split has no rows.
    """
    config = loaded.resolved.config
    scores = score(
        loaded.model,
        read_split(loaded, split),
        link=build_link(config),
        by=config.calibration.by,
        num_rows=split.num_rows,
        on_progress=on_progress,
    )
    return scores if scores is None or loaded.calibrator is None else scores.calibrated(loaded.calibrator)


def score_alone(loaded: LoadedModel, split: PreparedSplit, *, on_progress: OnProgress = no_progress) -> Scores:
    """Score a prepared split in one process; see `score_split`."""
    scores = score_split(loaded, split, on_progress=on_progress)
    assert scores is not None
    return scores


def score_files(
    loaded: LoadedModel,
    paths: Sequence[Path],
    scratch: Path,
    *,
    data: DataSection | None = None,
    on_progress: OnProgress = no_progress,
    log: Callable[[str], None] = no_log,
) -> Scores:
    """Prepare raw files with the run's fitted state, and score them, in one process.

    Args:
        loaded: The model of the run.
        paths: Files with the label column.
        scratch: New folder for the prepared rows.
        data: How to read the files. Default: as in training.
        on_progress: Called as rows are prepared and scored.
        log: Called with lines about features that have many unknown or missing values.

    Raises:
        DataError: The files do not hold the columns that the run was trained on, or no rows.
    """
    section = data or loaded.resolved.config.data
    split = prepare_split(loaded.resolved, loaded.state, paths, section, scratch, on_progress)
    for line in coverage_report({name_files(paths): split.coverage}, loaded.resolved):
        log(line)
    return score_alone(loaded, split, on_progress=on_progress)
