"""The output of `recsys plan`: how tables are sharded, what each rank holds, and what a step is estimated to take."""

from collections.abc import Callable
from statistics import fmean

from rich.table import Table

from recsys.console import print_table
from recsys.embeddings.scheme import physical_name
from recsys.sharding import RESERVED_FRACTION, Machine, RankCost, ShardingPlan
from recsys.units import format_bytes, format_count

__all__ = ["show_sharding_plan"]

DENSE_UTILIZATION = 0.4
"""Fraction of a device's peak FLOP/s that the dense part is assumed to reach."""
MANY_RANKS = 16
"""Most ranks that are shown one by one."""


def show_sharding_plan(plan: ShardingPlan, flops: float, *, is_bf16: bool) -> None:
    """Print how tables are sharded, what each rank holds, and what a step is estimated to take.

    Args:
        plan: The sharding plan.
        flops: FLOPs of the dense part for the forward pass of one row.
        is_bf16: Whether the dense part computes in bfloat16.
    """
    machine = plan.machine
    hosts = f" on {machine.num_hosts} hosts" if machine.num_hosts > 1 else ""
    local_batch_size = -(-plan.batch_size // machine.world_size)
    print(
        f"{format_count(len(plan.tables), 'table')} on {machine.world_size} x {machine.name}{hosts}; "
        f"batch size {plan.batch_size:,}, {local_batch_size:,} on each; {plan.optimizer}\n"
    )
    print_table(_tables(plan))
    print("reason: estimated ms of the slowest of so many shards; the same of the cheapest other sharding type\n")
    print_table(_ranks(plan))
    print("exchange: bytes of ids, vectors and gradients that a device sends or receives, whichever is more\n")
    print_table(_step(plan, flops, is_bf16=is_bf16))
    print(
        "estimated, not measured, as if nothing overlapped; not included: reading the data and copying it to devices, "
        "kernel launches, the dense optimizer, the computations of schemes, ids so frequent that one device gets most"
    )
    fullest = max(rank.memory_bytes for rank in plan.ranks)
    print(
        f"\nfits: {format_bytes(fullest)} of the {format_bytes(machine.memory)} of the fullest device, "
        f"of which {RESERVED_FRACTION:.0%} are reserved"
    )


def _tables(plan: ShardingPlan) -> Table:
    shown = Table("table", "sharding", "ranks", box=None, pad_edge=False)
    for name in ("rows x dim", "GB"):
        shown.add_column(name, justify="right")
    shown.add_column("reason")
    for table in plan.tables:
        kernel = "" if table.kernel in ("ram", "hbm") else f", {table.kernel}"
        precision = "" if table.precision == "fp32" else f", {table.precision}"
        shown.add_row(
            _short_name(table.name, table.table),
            f"{table.sharding}{kernel}{precision}",
            _ranges(table.ranks, plan.machine.world_size),
            f"{table.rows:,} x {table.dim}",
            f"{(table.weight_bytes + table.state_bytes) / 1e9:.3g}",
            table.reason,
        )
    return shown


def _short_name(name: str, table: str) -> str:
    """Return the configuration's name of a physical table, if that table is stored as one."""
    return table if name == physical_name(table, "") else name


def _ranges(ranks: list[int], world_size: int) -> str:
    """Return ranks as text: "all", "3", "0-7", "4, 12".

    >>> _ranges([0, 1, 2, 5], 8), _ranges([0, 1], 2)
    ('0-2, 5', 'all')
    """
    if len(ranks) == world_size > 1:
        return "all"
    starts = [rank for rank in ranks if rank - 1 not in ranks]
    ends = [rank for rank in ranks if rank + 1 not in ranks]
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))


def _ranks(plan: ShardingPlan) -> Table:
    """Show each rank, or the minimum, mean and maximum of many."""
    machine, ranks = plan.machine, plan.ranks
    shown = Table("rank", box=None, pad_edge=False)
    uses_host = any(rank.host_bytes for rank in ranks)
    columns: list[tuple[str, Callable[[RankCost], float]]] = [
        ("tables GB", lambda rank: rank.table_bytes / 1e9),
        *([("host GB", lambda rank: rank.host_bytes / 1e9)] if uses_host else []),
        ("other GB", lambda rank: rank.other_bytes / 1e9),
        ("memory %", lambda rank: 100 * rank.memory_bytes / machine.memory),
        ("lookup ms", lambda rank: rank.lookup_ms),
        ("exchange MB", lambda rank: rank.traffic.intra_host / 1e6),
        *([("inter-host MB", lambda rank: rank.traffic.inter_host / 1e6)] if machine.num_hosts > 1 else []),
        ("exchange ms", lambda rank: rank.traffic.ms(machine)),
    ]
    for name, _ in columns:
        shown.add_column(name, justify="right")
    by_column = [[value(rank) for rank in ranks] for _, value in columns]
    if len(ranks) <= MANY_RANKS:
        for i in range(len(ranks)):
            shown.add_row(str(i), *(f"{values[i]:.3g}" for values in by_column))
    else:
        for name, statistic in (("min", min), ("mean", fmean), ("max", max)):
            shown.add_row(name, *(f"{statistic(values):.3g}" for values in by_column))
    return shown


def _step(plan: ShardingPlan, flops: float, *, is_bf16: bool) -> Table:
    """Show the parts of a step, and the rows per second that follow."""
    machine = plan.machine
    peak = machine.flops_bf16 if is_bf16 else machine.flops
    dense_ms = 1e3 * 3 * flops * plan.batch_size / machine.world_size / (peak * DENSE_UTILIZATION)
    parts = {
        "embedding lookup": (
            plan.lookup_ms,
            f"slowest device by TorchRec's performance model, at {_memory_bandwidths(plan)}",
        ),
        "embedding exchange": (plan.communication_ms, f"busiest device, at {_network_bandwidths(machine)}"),
        "dense part": (
            dense_ms,
            f"{flops / 1e6:.3g} MFLOPs a row forward, 3 times that with the backward pass, "
            f"at {DENSE_UTILIZATION:.0%} of {peak / 1e12:.3g} TFLOP/s {'bf16' if is_bf16 else 'fp32'}",
        ),
        "gradient all-reduce": (plan.all_reduce_ms, f"{format_bytes(plan.dense_gradient_bytes)} over all devices"),
    }
    total = sum(ms for ms, _ in parts.values())
    shown = Table("step", box=None, pad_edge=False)
    shown.add_column("ms", justify="right")
    shown.add_column("estimate")
    for name, (ms, source) in parts.items():
        shown.add_row(name, f"{ms:.3g}", source)
    shown.add_row("sum", f"{total:.3g}", f"{plan.batch_size / total * 1e3:,.0f} rows/s")
    return shown


def _memory_bandwidths(plan: ShardingPlan) -> str:
    """Describe how fast rows are read; TorchRec assumes a tenth of the link's bandwidth for rows of the host."""
    machine = plan.machine
    own = machine.memory_bandwidth if machine.device == "cuda" else machine.host_memory_bandwidth
    uses_host = any(table.kernel in ("uvm", "uvm_caching") for table in plan.tables)
    link = machine.host_link_bandwidth
    of_host = f" and {link / 1e10:.3g} GB/s of the host's, over a link of {link / 1e9:.3g} GB/s"
    return f"{own / 1e9:,.0f} GB/s of memory{of_host if uses_host else ''}"


def _network_bandwidths(machine: Machine) -> str:
    intra = f"{machine.intra_bandwidth / 1e9:,.3g} GB/s inside a host"
    return intra if machine.num_hosts == 1 else f"{intra} and {machine.inter_bandwidth / 1e9:,.3g} GB/s between hosts"
