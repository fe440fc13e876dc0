"""From a plan to a model that can be trained or asked for scores, and from a run folder back to its model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.config import Plan, load_config, resolve
from recsys.data.prepare import prepare_split
from recsys.data.prepared import PreparedSplit
from recsys.data.reader import Reader
from recsys.embeddings import Batch, Layout
from recsys.embeddings.vocabularies import vocabularies
from recsys.errors import DataError
from recsys.features.state import TransformState
from recsys.model import CtrModel
from recsys.towers import tower_class
from recsys.training import checkpoint
from recsys.training.scoring import Scores, score
from recsys.training.strategy import shard

__all__ = ["Built", "build", "load_run", "score_files", "score_split"]

EVALUATION_ROWS = 16_384
"""Rows of a batch without gradients: enough to keep the kernels busy, little enough for wide towers."""

ProgressReport = Callable[[str, int, int | None], None]
"""Told (what is going on, rows done, rows in all if known)."""


@dataclass(frozen=True, slots=True)
class Built:
    """A sharded model and what its batches are made with."""

    plan: Plan
    state: TransformState
    layout: Layout
    model: DistributedModelParallel


def build(plan: Plan, state: TransformState, *, device: torch.device) -> Built:
    """Make the model of a plan, its parameters drawn from `train.seed`."""
    train = plan.config.train
    torch.manual_seed(train.seed)
    layout = Layout(
        plan,
        vocabularies(plan, state),
        jagged=tower_class(plan.config.model.tower).uses_behaviours,
        regularized=train.regularization.rows > 0,
    )
    return Built(plan, state, layout, shard(CtrModel(plan, layout), train.sparse_optimizer, device=device))


def load_run(folder: Path, *, device: torch.device) -> Built:
    """Return the best model of a run.

    Raises:
        DataError: the folder is not that of a run with a checkpoint.
    """
    if not (folder / "config.yaml").exists():
        raise DataError(f"{folder}: not a run folder: it has no config.yaml")
    plan = resolve(load_config(folder / "config.yaml"), columns=[])  # its globs were expanded when it was written
    built = build(plan, TransformState.load(folder / "transform"), device=device)
    checkpoint.load(folder / "checkpoints" / "best", built.model)
    return built


def score_split(built: Built, split: PreparedSplit, *, progress: ProgressReport | None = None) -> Scores:
    """Score a prepared split in the order of its rows."""
    reader: Reader[Batch] = Reader(
        split, built.plan, batch_size=EVALUATION_ROWS, collate=built.layout.collate, seed=None
    )
    done = 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress("scoring", done, split.num_rows)

    return score(built.model, reader, progress=count)


def score_files(
    built: Built, paths: Sequence[Path], scratch: Path, *, progress: ProgressReport | None = None
) -> Scores:
    """Prepare raw files into the new folder `scratch` with the run's fitted state, and score them."""
    data = built.plan.config.data
    split = prepare_split(built.plan, built.state, paths, data, scratch, progress)
    return score_split(built, split, progress=progress)
