"""Train small models some steps on however many ranks there are, and say what came of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recsys.config import Config, resolve
from recsys.data.rows import Jagged, Rows
from recsys.embeddings import FeatureVocabulary, Layout
from recsys.model import CtrModel
from recsys.ranks import Exchange, World, current_world, rank_slice, sum_over_ranks
from recsys.ranks.process_group import reader_group
from recsys.sharding import Machine, make_sharding_plan
from recsys.testing.tiny_tables import FEATURES, NUM_IDS, rows
from recsys.training.build import LoadedModel
from recsys.training.progress import TrainProgress
from recsys.training.schedule import ScheduleContext
from recsys.training.stages import StagedSchedule
from recsys.training.strategy import shard
from recsys.training.task import CtrTask

CPU = torch.device("cpu")
SIZES = [9, 8, 1, 7, 12, 9, 1, 8, 8, 5]
"""Rows of each batch: of one with a single row, two ranks share nothing."""
NEXT_STAGE = 6
"""Steps before the stage in which schemes that have two are compressed."""


class Outcome(NamedTuple):
    """What some steps led to, on one rank."""

    losses: list[float]
    """Of each step, over all ranks."""
    logits: Tensor
    """Of rows that hold all ids, in eval mode."""
    state: dict[str, Tensor]
    """Parameters and buffers of what every rank has: schemes and tower."""
    tables: int
    """Physical tables of which this rank has a part."""


def train_cases(cases: Mapping[str, dict[str, Any]]) -> dict[str, Outcome]:
    """Train the model of each case from its beginning, as one rank of those there are."""
    return {name: _train(case, World(current_world().rank, current_world().size)) for name, case in cases.items()}


def make_batch(num_rows: int, seed: int) -> Rows:
    """Draw rows whose labels depend on user and item; some have no tags, and some nothing was clicked before."""
    draw = torch.Generator().manual_seed(seed)

    def ids(name: str, size: int) -> list[int]:
        return torch.randint(0, NUM_IDS[name], (size,), generator=draw).tolist()

    user, item = ids("user", num_rows), ids("item", num_rows)
    made = rows(
        user,
        item,
        tags=[ids("tags", (seed + row) % 3) for row in range(num_rows)],
        clicks=[ids("item", (seed + 2 * row) % 4) for row in range(num_rows)],
    )
    made.labels[:, 0] = ((torch.tensor(user) + torch.tensor(item)) % 2).float()
    return made


def part_of(made: Rows, world: World) -> Rows:
    """Return a rank's part of the rows of a batch."""
    mine = rank_slice(made.num_rows, world.rank, world.size)
    return Rows(
        single={name: ids[mine] for name, ids in made.single.items()},
        lists={name: _part(jagged, mine) for name, jagged in made.lists.items()},
        numbers=made.numbers[mine],
        labels=made.labels[mine],
        weights=None,
        groups=None,
        num_rows=mine.stop - mine.start,
        batch_rows=made.num_rows,
    )


def _part(jagged: Jagged, mine: slice) -> Jagged:
    ends = [0, *jagged.lengths.cumsum(0).tolist()]
    return Jagged(jagged.values[ends[mine.start] : ends[mine.stop]], jagged.lengths[mine])


def _train(case: dict[str, Any], world: World) -> Outcome:
    built = _build(case, world)
    task = CtrTask(built.model, built.resolved.config.train, ["label"], world=world)
    progress = TrainProgress()
    context = ScheduleContext(built, task, progress, None, len(SIZES), lambda _: None)  # type: ignore[arg-type]
    schedule = StagedSchedule(context)
    exchange = Exchange(world, reader_group())
    losses = []
    for step, num_rows in enumerate(SIZES):
        if step == NEXT_STAGE and schedule.staged:
            schedule.start_next_stage()
        batch = built.layout.collate(part_of(make_batch(num_rows, step), world), exchange=exchange)
        task.start_epoch(iter([batch]))
        schedule.train_step()
        losses.append(float(sum_over_ranks(task.batch_loss.clone())))
        progress.count_batch(num_rows, 0.0)
    schedule.before_validation()
    task.pipeline.end()
    task.model.eval()
    with torch.no_grad():
        whole = rows(
            list(range(10)),
            [i % 7 for i in range(10)],
            [[i % 5, 1] for i in range(10)],
            [[3, i % 7] for i in range(10)],
        )
        logits = built.model(built.layout.collate(whole)).logits
    held = [
        name for name, value in built.model.state_dict().items() if ".embedding_bags." in name and value.local_shards()
    ]
    return Outcome(losses, logits, dict(built.model.module.dense_arch.state_dict()), len(held))


def _build(case: dict[str, Any], world: World) -> LoadedModel:
    """As `training.build.build` does, but without data."""
    config = Config.model_validate({"label": "y", "features": FEATURES, **case}, strict=False)
    resolved = resolve(config, [])
    train = resolved.config.train
    torch.manual_seed(train.seed)
    layout = Layout(
        resolved,
        {name: FeatureVocabulary(name, size) for name, size in NUM_IDS.items()},
        jagged=resolved.config.model.uses_behaviours,
        regularized=train.regularization.rows > 0,
    )
    plan = make_sharding_plan(
        layout,
        machine=Machine.detect(world.size, "cpu"),
        batch_size=train.batch_size,
        optimizer=train.sparse_optimizer,
        lengths={"tags": 1.0, "clicks": 1.5},
        dense_gradient_bytes=10_000,
    )
    model = shard(CtrModel(resolved, layout), train.sparse_optimizer, device=CPU, plan=plan, seed=train.seed)
    torch.manual_seed(world.rank)  # dropout of other rows is drawn apart
    return LoadedModel(resolved, None, layout, model, world)  # type: ignore[arg-type]
