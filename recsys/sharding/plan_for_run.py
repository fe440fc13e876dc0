"""The sharding plan of a training run: made for the machine it runs on, or read from a file."""

from collections.abc import Mapping
from pathlib import Path

import torch

from recsys.config import TrainSection
from recsys.embeddings.layout import Layout
from recsys.errors import ConfigError
from recsys.ranks import World, on_rank_zero
from recsys.sharding.dense_memory import dense_memory
from recsys.sharding.machine import Machine
from recsys.sharding.make_plan import make_sharding_plan
from recsys.sharding.plan import ShardingPlan
from recsys.towers import Tower
from recsys.units import format_bytes

__all__ = ["describe_plan", "largest_tables", "plan_for_machine", "plan_for_run", "read_plan"]

_MAX_LINES = 30
_UNREMARKABLE = ("ram", "hbm", "fp32")


def plan_for_run(
    layout: Layout,
    tower: Tower,
    train: TrainSection,
    *,
    lengths: Mapping[str, float],
    device: torch.device,
    world: World,
    path: Path | None = None,
) -> ShardingPlan:
    """Return the sharding plan of a run, the same on every rank; every rank must call it.

    Args:
        layout: Layout of the model's tables.
        tower: Tower of the model.
        train: Training section of the configuration.
        lengths: Mean number of ids in a row, for fields that may have several.
        device: Device of this rank.
        world: Rank of this process, and number of ranks.
        path: File that `recsys plan --out` or a former run wrote; by default, the plan that is estimated to be fastest
            on this machine is made.

    Raises:
        ShardingError: The tables do not fit into memory.
        ConfigError: The file is not a plan for these tables and ranks.
    """

    def read_or_make() -> ShardingPlan:
        if path is None:
            machine = Machine.detect(world.size, device.type, world.local_size)
            return plan_for_machine(machine, layout, tower, train, lengths)
        plan = read_plan(path, world)
        plan.check(
            layout,
            train.sparse_optimizer,
            world_size=world.size,
            local_world_size=world.local_size,
            where=str(path),
        )
        return plan

    return on_rank_zero(read_or_make)


def plan_for_machine(
    machine: Machine, layout: Layout, tower: Tower, train: TrainSection, lengths: Mapping[str, float]
) -> ShardingPlan:
    """Return the plan that is estimated to be fastest on a machine, which need not be this one.

    Raises:
        ShardingError: The tables do not fit into memory.
    """
    dense = dense_memory(layout, [tower], train)
    return make_sharding_plan(
        layout,
        machine=machine,
        batch_size=train.batch_size,
        optimizer=train.sparse_optimizer,
        lengths=lengths,
        dense_gradient_bytes=dense.gradient_bytes,
        dense_memory=dense.total_bytes,
        communication=train.communication,
    )


def describe_plan(plan: ShardingPlan) -> list[str]:
    """Return lines of text that say which ranks hold which table and why, the largest table first."""
    tables = sorted(plan.tables, key=lambda table: -table.weight_bytes)
    names = [f"{table.name} {table.rows:,} x {table.dim}" for table in tables[:_MAX_LINES]]
    width = max((len(name) for name in names), default=0)
    lines = [f"tables on {plan.machine.world_size} ranks:"]
    for name, table in zip(names, tables, strict=False):
        ranks = table.ranks
        shown = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]}-{ranks[-1]}"
        remarks = [word for word in (table.kernel, table.precision) if word not in _UNREMARKABLE]
        lines.append(f"  {name:<{width}}  {', '.join([table.sharding, *remarks])} on {shown}: {table.reason}")
    if len(tables) > _MAX_LINES:
        lines.append(f"  and {len(tables) - _MAX_LINES} more, see plan.json")
    most = max(rank.memory_bytes + rank.host_bytes for rank in plan.ranks)
    return [*lines, f"  {format_bytes(most)} on the fullest rank"]


def largest_tables(path: Path, rank: int) -> list[tuple[str, int]]:
    """Return the tables of the configuration and their bytes on a rank, the largest first.

    Args:
        path: File of the run's plan; without the file, the result is empty.
        rank: Rank whose shards are counted.
    """
    if not path.exists():
        return []
    bytes_by_table: dict[str, int] = {}
    for table in ShardingPlan.from_json(path.read_bytes(), where=str(path)).tables:
        weights = sum(shard.num_rows * shard.num_columns for shard in table.shards if shard.rank == rank)
        size = (table.weight_bytes + table.state_bytes) * weights // (table.rows * table.dim)
        bytes_by_table[table.table] = bytes_by_table.get(table.table, 0) + size
    return sorted(bytes_by_table.items(), key=lambda item: -item[1])


def read_plan(path: Path, world: World) -> ShardingPlan:
    """Return the plan in a file, which must be for as many ranks as there are.

    Raises:
        ConfigError: The file is not there, is not a plan, or is a plan for another number of ranks.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such plan; `recsys plan CONFIG --out {path}` writes one")
    plan = ShardingPlan.from_json(path.read_bytes(), where=str(path))
    planned = plan.machine.world_size
    if planned != world.size:
        raise ConfigError(
            f"{path}: is for {planned} ranks, and {world.size} train; give --devices "
            f"{planned}, or make another with `recsys plan CONFIG --world {world.size} --out FILE`"
        )
    return plan
