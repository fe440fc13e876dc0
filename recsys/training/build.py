"""Builds a model that can be trained or asked for scores, from a configuration or from a run folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.checkpoint.load import load_checkpoint
from recsys.config import DataSection, ResolvedConfig, load_config, resolve
from recsys.data.prepare import prepare_split
from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Reader
from recsys.embeddings import Batch, Layout
from recsys.embeddings.vocabularies import feature_vocabularies
from recsys.features.state import TransformState
from recsys.losses import build_loss
from recsys.model import CtrModel, layout_of
from recsys.progress import OnProgress, no_progress
from recsys.ranks import SINGLE_PROCESS, Exchange, World
from recsys.ranks.process_group import reader_group
from recsys.ranks.seeds import derive_seed
from recsys.run_folder import RunFolder
from recsys.sharding import ShardingPlan
from recsys.training.scoring import Scores, score
from recsys.training.strategy import shard

__all__ = ["LoadedModel", "build", "load_run", "score_alone", "score_files", "score_split"]

EVALUATION_ROWS = 16_384
"""Rows of a batch without gradients: enough to keep the kernels busy, little enough for wide towers."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A sharded model and what its batches are made with."""

    resolved: ResolvedConfig
    state: TransformState
    layout: Layout
    model: DistributedModelParallel
    world: World = SINGLE_PROCESS


def build(
    resolved: ResolvedConfig,
    state: TransformState,
    *,
    device: torch.device,
    world: World = SINGLE_PROCESS,
    make_plan: Callable[[CtrModel], ShardingPlan] | None = None,
) -> LoadedModel:
    """Make the model of a plan, its parameters drawn from `train.seed`; every rank must call it.

    Args:
        resolved: what the model sees of the data.
        state: vocabularies.
        device: of this rank.
        world: of this process.
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
    """Return the best model of a run.

    Raises:
        DataError: the folder is not that of a run with a checkpoint.
    """
    run = RunFolder(folder)
    run.require_run()
    resolved = resolve(load_config(run.config), columns=[])  # its globs were expanded when it was written
    built = build(resolved, TransformState.load(run.transform), device=device)
    load_checkpoint(run.best_checkpoint, built.model)
    return built


def reader_of(built: LoadedModel, split: PreparedSplit) -> Reader[Batch]:
    """Return the batches of a split in order, to be scored: this rank's part of each."""
    return Reader(
        split,
        built.resolved,
        batch_size=EVALUATION_ROWS * built.world.size,
        collate=partial(built.layout.collate, exchange=Exchange(built.world, reader_group())),
        seed=None,
        world=built.world,
    )


def score_split(built: LoadedModel, split: PreparedSplit, *, on_progress: OnProgress = no_progress) -> Scores | None:
    """Score a prepared split in the order of its rows; None on other ranks than 0."""
    link = build_loss(built.resolved.config.train.loss).link()
    return score(built.model, reader_of(built, split), link=link, num_rows=split.num_rows, on_progress=on_progress)


def score_alone(built: LoadedModel, split: PreparedSplit, *, on_progress: OnProgress = no_progress) -> Scores:
    """Score a prepared split with a run that was loaded, on one process."""
    scores = score_split(built, split, on_progress=on_progress)
    assert scores is not None
    return scores


def score_files(
    built: LoadedModel,
    paths: Sequence[Path],
    scratch: Path,
    *,
    data: DataSection | None = None,
    on_progress: OnProgress = no_progress,
) -> Scores:
    """Prepare raw files into the new folder `scratch` with the run's fitted state, and score them, on one process."""
    section = data or built.resolved.config.data
    split = prepare_split(built.resolved, built.state, paths, section, scratch, on_progress)
    return score_alone(built, split, on_progress=on_progress)
