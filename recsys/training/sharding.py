"""Where the tables of a run go: as planned for this machine, or as a file says."""

from collections.abc import Mapping
from pathlib import Path

import torch

from recsys.config import TrainSection
from recsys.embeddings import Layout
from recsys.errors import ConfigError
from recsys.model import CtrModel
from recsys.ranks import World, on_rank_zero
from recsys.sharding import Machine, Placement, place
from recsys.sharding.dense import dense_of
from recsys.towers import Tower
from recsys.units import format_bytes

__all__ = ["describe", "largest_tables", "place_on", "place_tables", "read_plan"]

MOST_LINES = 30
_USUAL = ("ram", "hbm", "fp32")


def place_tables(
    model: CtrModel,
    train: TrainSection,
    *,
    lengths: Mapping[str, float],
    device: torch.device,
    world: World,
    plan: Path | None = None,
) -> Placement:
    """Return the same placement on every rank: that of the file, or what is estimated to be fastest here.

    Args:
        model: not sharded yet.
        train: its training section.
        lengths: mean ids in a row, of the fields that may have several.
        device: of this rank.
        world: of this process.
        plan: a file that `recsys plan --out` or a former run wrote.

    Raises:
        ShardingError: the tables do not fit.
        ConfigError: the file is not a plan for these tables and ranks.
    """

    def decide() -> Placement:
        if plan is not None:
            found = read_plan(plan, world)
            found.check(
                model.layout, train.sparse_optimizer, world=world.size, per_host=world.local_size, where=str(plan)
            )
            return found
        machine = Machine.here(world.size, device.type, world.local_size)
        return place_on(machine, model.layout, model.tower, train, lengths)

    return on_rank_zero(decide)


def place_on(
    machine: Machine, layout: Layout, tower: Tower, train: TrainSection, lengths: Mapping[str, float]
) -> Placement:
    """Return what is estimated to be fastest on a machine, which need not be this one.

    Raises:
        ShardingError: the tables do not fit.
    """
    dense = dense_of(layout, [tower], train)
    return place(
        layout,
        machine=machine,
        batch_size=train.batch_size,
        optimizer=train.sparse_optimizer,
        lengths=lengths,
        dense_bytes=dense.gradients,
        held_bytes=dense.held,
        communication=train.communication,
    )


def describe(placement: Placement) -> list[str]:
    """Return lines that say which ranks hold which table, the largest first, and why."""
    tables = sorted(placement.tables, key=lambda table: -table.weight_bytes)
    names = [f"{table.name} {table.rows:,} x {table.dim}" for table in tables[:MOST_LINES]]
    width = max((len(name) for name in names), default=0)
    lines = [f"tables on {placement.machine.world} ranks:"]
    for name, table in zip(names, tables, strict=False):
        ranks = sorted({part.rank for part in table.parts})
        shown = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]}-{ranks[-1]}"
        how = ", ".join([table.shard, *[word for word in (table.kernel, table.precision) if word not in _USUAL]])
        lines.append(f"  {name:<{width}}  {how} on {shown}: {table.why}")
    if len(tables) > MOST_LINES:
        lines.append(f"  and {len(tables) - MOST_LINES} more, see plan.json")
    most = max(rank.memory_bytes + rank.host_bytes for rank in placement.ranks)
    return [*lines, f"  {format_bytes(most)} on the fullest rank"]


def largest_tables(plan: Path, rank: int) -> list[tuple[str, int]]:
    """Return the configuration's tables and their bytes on a rank, the largest first, as a run's plan has them."""
    if not plan.exists():
        return []
    held: dict[str, int] = {}
    for table in Placement.from_json(plan.read_text(), where=str(plan)).tables:
        of_rank = sum(part.rows * part.columns for part in table.parts if part.rank == rank)
        size = (table.weight_bytes + table.state_bytes) * of_rank // (table.rows * table.dim)
        held[table.table] = held.get(table.table, 0) + size
    return sorted(held.items(), key=lambda item: -item[1])


def read_plan(path: Path, world: World) -> Placement:
    """Read a plan that is for as many ranks as there are.

    Raises:
        ConfigError: it is not there, no plan, or for another number of ranks.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such plan; `recsys plan CONFIG --out {path}` writes one")
    found = Placement.from_json(path.read_text(), where=str(path))
    if found.machine.world != world.size:
        raise ConfigError(
            f"{path}: is for {found.machine.world} ranks, and {world.size} train; give --devices "
            f"{found.machine.world}, or make another with `recsys plan CONFIG --world {world.size} --out FILE`"
        )
    return found
