"""From tables and a machine to a placement: the planner's choice, explained and added up."""

from collections.abc import Iterator, Mapping, Sequence

from torchrec.distributed.planner.types import ShardingOption

from recsys.config import Communication, SparseOptimizer
from recsys.embeddings.layout import Layout
from recsys.sharding.candidates import candidates
from recsys.sharding.machine import Machine
from recsys.sharding.planner import SHARDINGS, Planner, cached_bytes
from recsys.sharding.problem import PlanningProblem
from recsys.sharding.remedies import does_not_fit
from recsys.sharding.sharding_plan import Placement, RankCost
from recsys.sharding.shards import Part, TableSharding
from recsys.sharding.table_load import TableLoad, loads_of
from recsys.sharding.traffic import all_reduce, lookup_traffic

__all__ = ["place"]

_NAMES = {theirs: ours for ours, theirs in SHARDINGS.items()}


def place(
    layout: Layout,
    *,
    machine: Machine,
    batch_size: int,
    optimizer: SparseOptimizer,
    lengths: Mapping[str, float],
    dense_bytes: int,
    held_bytes: int | None = None,
    communication: Communication = "fp32",
) -> Placement:
    """Decide where every table goes. The same arguments give the same placement.

    Args:
        layout: its tables and what is asked of them.
        machine: devices to be used.
        batch_size: rows of a step over all devices.
        optimizer: of the tables.
        lengths: mean ids in a row, of the fields that may have several.
        dense_bytes: of the parameters whose gradients all ranks sum.
        held_bytes: of everything else than tables that each rank keeps: these parameters, their gradients and states;
            four times `dense_bytes` when not given.
        communication: how vectors and their gradients are written for the way between devices.

    Raises:
        ShardingError: the tables do not fit; the message says which, and what would make them fit.
        ConfigError: a table cannot be sharded as it is asked to be.
    """
    loads = loads_of(layout, optimizer, lengths)
    case = PlanningProblem(
        loads=loads,
        machine=machine,
        batch_size=batch_size,
        held_bytes=4 * dense_bytes if held_bytes is None else held_bytes,
        communication=communication,
    )
    planner = case.planner()
    chosen = planner.best()
    if chosen is None:
        raise does_not_fit(case)
    tables = [_table(load, option, planner) for load, option in zip(loads, chosen, strict=True)]
    return Placement(
        machine=machine,
        batch_size=batch_size,
        optimizer=optimizer.name,
        dense_bytes=dense_bytes,
        dense_wire=all_reduce(dense_bytes, machine),
        tables=tuple(tables),
        ranks=tuple(_costs(tables, chosen, case)),
    )


def _table(load: TableLoad, option: ShardingOption, planner: Planner) -> TableSharding:
    allowed = candidates(load, planner.machine)
    return TableSharding(
        name=load.name,
        table=load.request.table,
        collection=load.collection,
        rows=load.rows,
        dim=load.dim,
        precision=load.request.precision,
        shard=_NAMES[option.sharding_type],
        kernel=allowed.kernel,
        parts=tuple(Part(shard.rank, *shard.offset, *shard.size) for shard in option.shards),
        weight_bytes=load.weights(load.rows, load.dim),
        state_bytes=load.state(load.rows, load.dim),
        why=allowed.why or _why(option, planner),
    )


def _why(option: ShardingOption, planner: Planner) -> str:
    """Compare a choice with the sharding that costs least device time of the others, by the planner's estimates."""
    room = planner.topology.devices[0].storage
    others = [
        other
        for other in planner.options
        if other.name == option.name
        and other.sharding_type != option.sharding_type
        and all(shard.storage.fits_in(room) for shard in other.shards)
    ]
    if not others:
        return "the only sharding whose parts fit"
    second = min(others, key=lambda other: float(other.total_perf))
    shown = f"{_ms(option)}; {_NAMES[second.sharding_type]} {_ms(second)}"
    return shown if option.total_perf <= second.total_perf else f"{shown}, which is less even over the devices"


def _ms(option: ShardingOption) -> str:
    slowest = max(shard.perf.total for shard in option.shards)
    return f"{slowest:.2g} ms on {len(option.shards)}"


def _costs(
    tables: Sequence[TableSharding], chosen: Sequence[ShardingOption], case: PlanningProblem
) -> Iterator[RankCost]:
    """Add up what lies on each rank."""
    machine = case.machine
    held, host, buffers = ([0] * machine.world for _ in range(3))
    lookup_ms = [0.0] * machine.world
    for load, table, option in zip(case.loads, tables, chosen, strict=True):
        for shard in option.shards:
            rank, (rows, columns) = shard.rank, shard.size
            own = load.weights(rows, columns) + load.state(rows, columns)
            on_device = shard.storage.ddr if machine.device == "cpu" else shard.storage.hbm
            in_tables = own if table.kernel in ("ram", "hbm") else cached_bytes(own, rows, table.kernel)
            held[rank] += in_tables
            buffers[rank] += on_device - in_tables
            host[rank] += own if table.kernel in ("uvm", "uvm_caching") else 0
            lookup_ms[rank] += shard.perf.fwd_compute + shard.perf.bwd_compute + shard.perf.prefetch_compute
    wires = lookup_traffic(
        zip(case.loads, tables, strict=True), machine, batch_size=case.batch_size, float_bytes=case.float_bytes
    )
    for rank, wire in enumerate(wires):
        yield RankCost(
            table_bytes=held[rank],
            host_bytes=host[rank],
            other_bytes=buffers[rank] + case.held_bytes + case.vector_bytes,
            lookup_ms=lookup_ms[rank],
            wire=wire,
        )
