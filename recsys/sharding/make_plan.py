"""Making a sharding plan: the planner's choice for a layout on a machine, with its reasons and its costs."""

from collections.abc import Iterator, Mapping, Sequence

from torchrec.distributed.planner.types import ShardingOption

from recsys.config import Communication, SparseOptimizer
from recsys.embeddings.layout import Layout
from recsys.sharding.candidates import candidates
from recsys.sharding.machine import Machine
from recsys.sharding.plan import RankCost, ShardingPlan
from recsys.sharding.planner import SHARDING_TYPES, Planner, cache_bytes
from recsys.sharding.problem import PlanningProblem
from recsys.sharding.remedies import does_not_fit
from recsys.sharding.table_load import TableLoad, table_loads
from recsys.sharding.table_sharding import TableShard, TableSharding
from recsys.sharding.traffic import all_reduce_traffic, lookup_traffic

__all__ = ["make_sharding_plan"]

_FROM_TORCHREC = {theirs: ours for ours, theirs in SHARDING_TYPES.items()}


def make_sharding_plan(
    layout: Layout,
    *,
    machine: Machine,
    batch_size: int,
    optimizer: SparseOptimizer,
    lengths: Mapping[str, float],
    dense_gradient_bytes: int,
    dense_memory: int | None = None,
    communication: Communication = "fp32",
) -> ShardingPlan:
    """Return the plan that is estimated to be fastest; the same arguments give the same plan.

    Args:
        layout: Tables, and what the configuration asks of them.
        machine: Devices to plan for.
        batch_size: Rows of a step over all devices.
        optimizer: Optimizer of the tables.
        lengths: Mean number of ids in a row, for fields that may have several.
        dense_gradient_bytes: Bytes of the dense gradients that all ranks sum.
        dense_memory: Bytes of each device for everything but tables: dense parameters, their gradients and optimizer
            state. Four times `dense_gradient_bytes` by default.
        communication: Precision of the vectors and gradients that ranks exchange.

    Raises:
        ShardingError: The tables do not fit into memory; the message says which, and what would make them fit.
        ConfigError: A table cannot be sharded as its configuration asks.
    """
    loads = table_loads(layout, optimizer, lengths)
    problem = PlanningProblem(
        loads=loads,
        machine=machine,
        batch_size=batch_size,
        dense_memory=4 * dense_gradient_bytes if dense_memory is None else dense_memory,
        communication=communication,
    )
    planner = problem.planner()
    options = planner.best()
    if options is None:
        raise does_not_fit(problem)
    tables = [_table_sharding(load, option, planner) for load, option in zip(loads, options, strict=True)]
    return ShardingPlan(
        machine=machine,
        batch_size=batch_size,
        optimizer=optimizer.name,
        dense_gradient_bytes=dense_gradient_bytes,
        all_reduce_traffic=all_reduce_traffic(dense_gradient_bytes, machine),
        tables=tuple(tables),
        ranks=tuple(_rank_costs(tables, options, problem)),
    )


def _table_sharding(load: TableLoad, option: ShardingOption, planner: Planner) -> TableSharding:
    allowed = candidates(load, planner.machine)
    return TableSharding(
        name=load.name,
        table=load.constraints.table,
        collection=load.collection,
        rows=load.rows,
        dim=load.dim,
        precision=load.constraints.precision,
        sharding=_FROM_TORCHREC[option.sharding_type],
        kernel=allowed.kernel,
        shards=tuple(TableShard(shard.rank, *shard.offset, *shard.size) for shard in option.shards),
        weight_bytes=load.shard_weight_bytes(load.rows, load.dim),
        state_bytes=load.shard_state_bytes(load.rows, load.dim),
        reason=allowed.reason or _comparison(option, planner),
    )


def _comparison(option: ShardingOption, planner: Planner) -> str:
    """Compare a choice with the other sharding type of the least total time, by the planner's estimates."""
    memory = planner.topology.devices[0].storage
    others = [
        other
        for other in planner.options
        if other.name == option.name
        and other.sharding_type != option.sharding_type
        and all(shard.storage.fits_in(memory) for shard in other.shards)
    ]
    if not others:
        return "the only sharding whose shards fit"
    second = min(others, key=lambda other: float(other.total_perf))
    shown = f"{_slowest_ms(option)}; {_FROM_TORCHREC[second.sharding_type]} {_slowest_ms(second)}"
    return shown if option.total_perf <= second.total_perf else f"{shown}, which is less even over the devices"


def _slowest_ms(option: ShardingOption) -> str:
    slowest = max(shard.perf.total for shard in option.shards)
    return f"{slowest:.2g} ms on {len(option.shards)}"


def _rank_costs(
    tables: Sequence[TableSharding], options: Sequence[ShardingOption], problem: PlanningProblem
) -> Iterator[RankCost]:
    """Yield the memory, the estimated time and the traffic of each rank."""
    machine = problem.machine
    table_bytes, host_bytes, buffer_bytes = ([0] * machine.world_size for _ in range(3))
    lookup_ms = [0.0] * machine.world_size
    for load, table, option in zip(problem.loads, tables, options, strict=True):
        for shard in option.shards:
            rank, (rows, columns) = shard.rank, shard.size
            held = load.shard_bytes(rows, columns)
            on_device = shard.storage.ddr if machine.device == "cpu" else shard.storage.hbm
            in_tables = held if table.kernel in ("ram", "hbm") else cache_bytes(held, rows, table.kernel)
            table_bytes[rank] += in_tables
            buffer_bytes[rank] += on_device - in_tables
            host_bytes[rank] += held if table.kernel in ("uvm", "uvm_caching") else 0
            lookup_ms[rank] += shard.perf.fwd_compute + shard.perf.bwd_compute + shard.perf.prefetch_compute
    traffic = lookup_traffic(
        zip(problem.loads, tables, strict=True),
        machine,
        batch_size=problem.batch_size,
        float_bytes=problem.exchanged_float_bytes,
    )
    for rank in range(machine.world_size):
        yield RankCost(
            table_bytes=table_bytes[rank],
            host_bytes=host_bytes[rank],
            other_bytes=buffer_bytes[rank] + problem.dense_memory + problem.vector_bytes,
            lookup_ms=lookup_ms[rank],
            traffic=traffic[rank],
        )
