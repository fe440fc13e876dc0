"""Train some steps without Lightning, on however many ranks there are, and say what came of it."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recsys.data.prepare import prepare
from recsys.data.reader import Reader
from recsys.data.rows import Rows
from recsys.embeddings import Batch, count_rows
from recsys.model import CtrModel
from recsys.ranks import Exchange, broadcast, current_world, sum_over_ranks
from recsys.ranks.process_group import reader_group
from recsys.sharding import ShardingPlan, plan_for_run
from recsys.training.build import LoadedModel, build, score_split
from recsys.training.pipeline import TrainPipeline
from recsys.training.served_rows import round_served_rows
from recsys.training.strategy import table_shards
from recsys.training.task import CtrTask
from tests.training.logs import make_config


class Course(NamedTuple):
    """What some steps led to."""

    losses: list[float]
    """Of each step, over all ranks."""
    auc: float
    """On the test rows."""
    parts: list[int]
    """Rows of each batch that were this rank's."""
    tables: list[tuple[int, ...]]
    """Shapes of what this rank holds of tables."""


def train_steps(
    log: Path, configs: dict[str, dict[str, Any]], scratch: Path, num_steps: int, *, overlap: bool = False
) -> dict[str, Course]:
    """Train each configuration from its beginning, as one rank of those there are."""
    return {
        name: _train(
            log, changes, scratch / f"{name.replace('/', '-')}-{current_world().rank}", num_steps, overlap=overlap
        )
        for name, changes in configs.items()
    }


def _train(log: Path, changes: dict[str, Any], scratch: Path, num_steps: int, *, overlap: bool) -> Course:
    world = current_world()
    prepared = prepare(make_config(scratch, **changes), log, log / "cache")
    train = prepared.resolved.config.train

    def make_plan(model: CtrModel) -> ShardingPlan:
        return plan_for_run(model.layout, model.tower, train, lengths={}, device=torch.device("cpu"), world=world)

    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"), world=world, make_plan=make_plan)
    task = CtrTask(built.model, train, ["label"], world=world)
    if overlap:
        task.pipeline = TrainPipeline(built.model, task.optimizer, task._loss, device=torch.device("cpu"), overlap=True)
    reader = _reader(built, prepared.splits["train"])
    losses: list[float] = []
    parts: list[int] = []
    while len(losses) < num_steps:
        task.start_epoch(iter(reader))
        for _ in range(min(reader.num_batches, num_steps - len(losses))):
            task.first_pass()
            losses.append(float(sum_over_ranks(task.batch_loss.clone())))
            parts.append(task.batch.num_rows)
            task.second_pass()
        if overlap:
            assert len(task.pipeline._pipeline._pipelined_modules) == len(list(built.model.module.lookup.children()))
        task.pipeline.end()
    if world.size == 1:  # of several ranks, a reader may wait for the batch of another one
        reader.close()
    round_served_rows(built.model)
    scores = score_split(built, prepared.splits["test"])
    held = [tuple(shard.tensor.shape) for shards in table_shards(built.model).values() for shard in shards]
    return Course(losses, broadcast(scores and scores.metrics(["label"])["auc"]), parts, held)


def _reader(built: LoadedModel, split: Any) -> Reader[Batch]:
    exchange = Exchange(built.world, reader_group())
    counts: dict[str, Tensor] = {}
    if built.resolved.config.train.regularization.rows:
        raw: Reader[Rows] = Reader(split, built.resolved, batch_size=2**16, collate=lambda rows: rows, seed=None)
        counts = count_rows(built.layout, raw)
    return Reader(
        split,
        built.resolved,
        batch_size=built.resolved.config.train.batch_size,
        collate=lambda rows: built.layout.collate(rows, row_counts=counts, exchange=exchange),
        seed=built.resolved.config.train.seed,
        world=built.world,
    )
