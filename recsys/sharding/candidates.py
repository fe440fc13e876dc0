"""Which shardings a table may have on a machine: what is asked for, what its optimiser allows, what can be cut."""

from dataclasses import dataclass

from recsys.config.schemes import Sharding
from recsys.errors import ConfigError
from recsys.sharding.machine import Machine
from recsys.sharding.shards import NARROW, Kernel, can_deal, column_width
from recsys.sharding.table_load import TableLoad

__all__ = ["Candidates", "candidates"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the planner may choose from for one table."""

    shards: tuple[Sharding, ...]
    kernel: Kernel
    width: int | None
    """Columns of a part, where columns are cut."""
    why: str
    """Why there is no choice; "" if there is one."""


def candidates(load: TableLoad, machine: Machine) -> Candidates:
    """Return the shardings of a table, all of which can be carried out.

    Raises:
        ConfigError: what is asked for cannot be done: rows too narrow to be cut, an optimiser with one state a row, a
            scheme that needs the whole table.
    """
    asked, kernel = load.request.sharding, _kernel(load, machine)
    if machine.world == 1:
        return Candidates(("table_wise",), kernel, None, "one device")
    if asked is not None:
        _check(load, asked)
    if load.request.whole:
        return Candidates(("table_wise",), kernel, None, f"scheme {load.request.scheme} trains on the whole table")
    if asked is None:
        return _free(load, machine, kernel)
    done = _on_so_many_hosts(asked, machine)
    dealt = {"row_wise": machine.world, "table_row_wise": machine.per_host, "grid": machine.per_host}.get(done, 1)
    if not can_deal(load.rows, dealt):
        why = f"asked for {asked}, but {load.rows} rows cannot be dealt to {dealt} devices"
        return Candidates(("table_wise",), kernel, None, why)
    width = _width(load, done, machine)
    return Candidates((done,), kernel, width, "asked for" if done == asked else f"asked for {asked}, on one host")


def _kernel(load: TableLoad, machine: Machine) -> Kernel:
    return "ram" if machine.device == "cpu" else load.request.placement or "hbm"


def _check(load: TableLoad, asked: Sharding) -> None:
    where = f"tables.{load.request.table}.sharding"
    if load.request.whole and asked != "table_wise":
        raise ConfigError(
            f"{where}: scheme {load.request.scheme} trains on the whole table, so it must be table_wise, got {asked}"
        )
    if asked in ("column_wise", "grid"):
        if load.state_by_row:
            raise ConfigError(
                f"{where}: {asked} cuts rows, of which sparse_optimizer rowwise_adagrad keeps one state each; "
                "take sparse_optimizer adagrad, or shard row_wise"
            )
        if column_width(load.dim, 2) is None:
            raise ConfigError(
                f"{where}: {asked} needs rows of at least 8 floats, to be cut into parts of at least 4; "
                f"those of {load.name} have {load.dim}; take a larger dim, or shard row_wise"
            )


def _on_so_many_hosts(asked: Sharding, machine: Machine) -> Sharding:
    """Return what remains of a sharding over hosts and devices where there is one of either."""
    if asked == "grid" and machine.num_hosts == 1:
        return "table_row_wise"
    if asked == "grid" and machine.per_host == 1:
        return "column_wise"
    return "table_wise" if asked == "table_row_wise" and machine.per_host == 1 else asked


def _width(load: TableLoad, shard: Sharding, machine: Machine) -> int | None:
    if shard not in ("column_wise", "grid"):
        return None
    return column_width(load.dim, machine.num_hosts if shard == "grid" else machine.world)


def _free(load: TableLoad, machine: Machine, kernel: Kernel) -> Candidates:
    """Return all shardings that make sense: columns are cut only where the parts are wide enough to be read well."""
    shards: list[Sharding] = ["table_wise"]
    hosts, local = machine.num_hosts, machine.per_host
    if can_deal(load.rows, machine.world):
        shards.append("row_wise")
    if hosts > 1 and local > 1 and can_deal(load.rows, local):
        shards.append("table_row_wise")
    is_cut = not load.state_by_row and load.dim >= 2 * NARROW
    if is_cut:
        shards.append("column_wise")
    if is_cut and hosts > 1 and local > 1 and can_deal(load.rows, local):
        shards.append("grid")
    width = column_width(load.dim, hosts if hosts > 1 else machine.world) if is_cut else None
    why = f"{load.rows} rows cannot be dealt to {machine.world} devices" if len(shards) == 1 else ""
    return Candidates(tuple(shards), kernel, width, why)
