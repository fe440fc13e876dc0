"""The sharding types that a table may have on a machine, given its constraints, its optimizer and its size."""

from dataclasses import dataclass

from recsys.config.schemes import Sharding
from recsys.errors import ConfigError
from recsys.sharding.machine import Machine
from recsys.sharding.table_load import TableLoad
from recsys.sharding.table_sharding import MIN_EFFICIENT_WIDTH, Kernel, can_split_rows, shard_width

__all__ = ["Candidates", "candidates"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The options of the planner for one table."""

    sharding_types: tuple[Sharding, ...]
    kernel: Kernel
    width: int | None
    """Columns of a shard, where a table is sharded by columns."""
    reason: str
    """Reason why there is no choice; "" if there is one."""


def candidates(load: TableLoad, machine: Machine) -> Candidates:
    """Return the sharding types of a table that can be carried out on a machine.

    Raises:
        ConfigError: The sharding that is asked for is impossible: rows are too narrow to be split, the optimizer has
            one state a row, or the scheme needs the whole table.
    """
    asked, kernel = load.constraints.sharding, _kernel(load, machine)
    if machine.world_size == 1:
        return Candidates(("table_wise",), kernel, None, "one device")
    if asked is not None:
        _check(load, asked)
    if load.constraints.needs_whole_table:
        reason = f"scheme {load.constraints.scheme} trains on the whole table"
        return Candidates(("table_wise",), kernel, None, reason)
    if asked is None:
        return _all_possible(load, machine, kernel)
    possible = _on_hosts(asked, machine)
    local = machine.local_world_size
    num_blocks = {"row_wise": machine.world_size, "table_row_wise": local, "grid": local}.get(possible, 1)
    if not can_split_rows(load.rows, num_blocks):
        reason = f"asked for {asked}, but {load.rows} rows cannot be split over {num_blocks} devices"
        return Candidates(("table_wise",), kernel, None, reason)
    reason = "asked for" if possible == asked else f"asked for {asked}, on one host"
    return Candidates((possible,), kernel, _width(load, possible, machine), reason)


def _kernel(load: TableLoad, machine: Machine) -> Kernel:
    return "ram" if machine.device == "cpu" else load.constraints.placement or "hbm"


def _check(load: TableLoad, asked: Sharding) -> None:
    where = f"tables.{load.constraints.table}.sharding"
    if load.constraints.needs_whole_table and asked != "table_wise":
        raise ConfigError(
            f"{where}: scheme {load.constraints.scheme} trains on the whole table, so it must be table_wise, "
            f"got {asked}"
        )
    if asked in ("column_wise", "grid"):
        if load.state_by_row:
            raise ConfigError(
                f"{where}: {asked} splits rows, of which sparse_optimizer rowwise_adagrad keeps one state each; "
                "take sparse_optimizer adagrad, or shard row_wise"
            )
        if shard_width(load.dim, 2) is None:
            raise ConfigError(
                f"{where}: {asked} needs rows of at least 8 floats, to be split into shards of at least 4; "
                f"those of {load.name} have {load.dim}; take a larger dim, or shard row_wise"
            )


def _on_hosts(asked: Sharding, machine: Machine) -> Sharding:
    """Return what a sharding over hosts and their devices comes down to where there is one host, or one device each."""
    if asked == "grid" and machine.num_hosts == 1:
        return "table_row_wise"
    if asked == "grid" and machine.local_world_size == 1:
        return "column_wise"
    return "table_wise" if asked == "table_row_wise" and machine.local_world_size == 1 else asked


def _width(load: TableLoad, sharding: Sharding, machine: Machine) -> int | None:
    if sharding not in ("column_wise", "grid"):
        return None
    return shard_width(load.dim, machine.num_hosts if sharding == "grid" else machine.world_size)


def _all_possible(load: TableLoad, machine: Machine, kernel: Kernel) -> Candidates:
    """Return all sharding types that make sense; columns are split only into shards that are read efficiently."""
    hosts, local, world = machine.num_hosts, machine.local_world_size, machine.world_size
    splits_columns = not load.state_by_row and load.dim >= 2 * MIN_EFFICIENT_WIDTH
    splits_in_host = hosts > 1 and local > 1 and can_split_rows(load.rows, local)
    is_possible: dict[Sharding, bool] = {
        "table_wise": True,
        "row_wise": can_split_rows(load.rows, world),
        "table_row_wise": splits_in_host,
        "column_wise": splits_columns,
        "grid": splits_columns and splits_in_host,
    }
    possible = tuple(sharding for sharding, holds in is_possible.items() if holds)
    width = shard_width(load.dim, hosts if hosts > 1 else world) if splits_columns else None
    reason = f"{load.rows} rows cannot be split over {world} devices" if len(possible) == 1 else ""
    return Candidates(possible, kernel, width, reason)
