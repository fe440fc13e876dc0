"""A placement on the console: tables, ranks, and what a step is estimated to cost."""

from collections.abc import Callable
from statistics import fmean

from rich.markup import escape
from rich.table import Table

from recsys.console import print_table
from recsys.embeddings.scheme import physical_name
from recsys.sharding import KEPT_FREE, Machine, Placement, RankCost
from recsys.units import format_bytes

__all__ = ["say", "show_cost"]

DENSE_SHARE = 0.4
"""Of a device's peak that the dense part is taken to reach."""
MANY_RANKS = 16


def say(text: str) -> None:
    """Print a line, however long, as it is."""
    print(text)


def show_cost(placement: Placement, flops: float, *, is_bf16: bool) -> None:
    """Print who holds what, and what a step costs.

    Args:
        placement: of the tables.
        flops: of the dense part, for the forward pass of one row.
        is_bf16: the dense part is computed in bfloat16.
    """
    machine = placement.machine
    hosts = f" on {machine.num_hosts} hosts" if machine.num_hosts > 1 else ""
    each = -(-placement.batch_size // machine.world)
    say(
        f"{len(placement.tables)} table{'s' * (len(placement.tables) > 1)} on {machine.world} x {machine.name}{hosts}; "
        f"{placement.batch_size:,} rows a step, {each:,} on each; {placement.optimizer}\n"
    )
    print_table(_tables(placement))
    say("why: estimated ms on each of so many devices; the same of the sharding that is cheapest of the others\n")
    print_table(_ranks(placement))
    say("wire: bytes that a device sends or receives in a step, whichever is more: ids, vectors, their gradients\n")
    print_table(_step(placement, flops, is_bf16=is_bf16))
    say(
        "estimated, not measured, as if nothing overlapped; left out: reading the data and copying it to the devices, "
        "kernel launches, the dense optimiser, what schemes compute, ids that are so frequent that one device gets most"
    )
    fullest = max(rank.memory_bytes for rank in placement.ranks)
    say(
        f"\nfits: {format_bytes(fullest)} of the {format_bytes(machine.memory)} of the fullest device, "
        f"of which {KEPT_FREE:.0%} must stay free"
    )


def _tables(placement: Placement) -> Table:
    shown = Table("table", "sharding", "on", box=None, pad_edge=False)
    for name in ("rows x dim", "GB"):
        shown.add_column(name, justify="right")
    shown.add_column("why")
    world = placement.machine.world
    for table in placement.tables:
        kernel = "" if table.kernel in ("ram", "hbm") else f", {table.kernel}"
        precision = "" if table.precision == "fp32" else f", {table.precision}"
        shown.add_row(
            escape(_short(table.name, table.table)),
            f"{table.shard}{kernel}{precision}",
            _spans(table.ranks, world),
            f"{table.rows:,} x {table.dim}",
            f"{(table.weight_bytes + table.state_bytes) / 1e9:.3g}",
            table.why,
        )
    return shown


def _short(name: str, table: str) -> str:
    """Name a physical table after the configuration's, if it is all of it."""
    return table if name == physical_name(table, "") else name


def _spans(ranks: list[int], world: int) -> str:
    """Write ranks: "all", "3", "0-7", "4, 12".

    >>> _spans([0, 1, 2, 5], 8), _spans([0, 1], 2)
    ('0-2, 5', 'all')
    """
    if len(ranks) == world > 1:
        return "all"
    starts = [rank for rank in ranks if rank - 1 not in ranks]
    ends = [rank for rank in ranks if rank + 1 not in ranks]
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))


def _ranks(placement: Placement) -> Table:
    """Show each rank, or the least, mean and most of many."""
    machine, ranks = placement.machine, placement.ranks
    shown = Table("rank", box=None, pad_edge=False)
    uses_host = any(rank.host_bytes for rank in ranks)
    far = machine.num_hosts > 1
    columns: list[tuple[str, Callable[[RankCost], float]]] = [
        ("tables GB", lambda rank: rank.table_bytes / 1e9),
        *([("host GB", lambda rank: rank.host_bytes / 1e9)] if uses_host else []),
        ("others GB", lambda rank: rank.other_bytes / 1e9),
        ("of memory %", lambda rank: 100 * rank.memory_bytes / machine.memory),
        ("lookup ms", lambda rank: rank.lookup_ms),
        ("wire MB", lambda rank: rank.wire.intra / 1e6),
        *([("to hosts MB", lambda rank: rank.wire.inter / 1e6)] if far else []),
        ("wire ms", lambda rank: rank.wire.ms(machine)),
    ]
    for name, _ in columns:
        shown.add_column(name, justify="right")
    by_column = [[value(rank) for rank in ranks] for _, value in columns]
    if len(ranks) <= MANY_RANKS:
        for i in range(len(ranks)):
            shown.add_row(str(i), *(f"{values[i]:.3g}" for values in by_column))
    else:
        for name, of in (("least", min), ("mean", fmean), ("most", max)):
            shown.add_row(name, *(f"{of(values):.3g}" for values in by_column))
    return shown


def _step(placement: Placement, flops: float, *, is_bf16: bool) -> Table:
    """Show what a step is made of, and the rows a second that follow."""
    machine = placement.machine
    peak = machine.flops_bf16 if is_bf16 else machine.flops
    dense_ms = 1e3 * 3 * flops * placement.batch_size / machine.world / (peak * DENSE_SHARE)
    of = {
        "lookups": (
            placement.lookup_ms,
            f"of the slowest device, by TorchRec's model, from {_memories(placement)}",
        ),
        "ids, vectors": (placement.communication_ms, f"of the busiest device, at {_speeds(machine)}"),
        "dense part": (
            dense_ms,
            f"{flops / 1e6:.3g} MFLOPs a row forward, 3 times that with the backward pass, "
            f"at {DENSE_SHARE:.0%} of {peak / 1e12:.3g} TFLOP/s {'bf16' if is_bf16 else 'fp32'}",
        ),
        "dense gradients": (placement.all_reduce_ms, f"{format_bytes(placement.dense_bytes)} summed over the devices"),
    }
    total = sum(ms for ms, _ in of.values())
    shown = Table("step", box=None, pad_edge=False)
    shown.add_column("ms", justify="right")
    shown.add_column("from")
    for name, (ms, source) in of.items():
        shown.add_row(name, f"{ms:.3g}", source)
    shown.add_row("sum", f"{total:.3g}", f"{placement.batch_size / total * 1e3:,.0f} rows/s")
    return shown


def _memories(placement: Placement) -> str:
    """Say how fast rows are read; TorchRec takes those of the host for ten times slower than the way to it."""
    machine = placement.machine
    own = machine.memory_speed if machine.device == "cuda" else machine.host_speed
    uses_host = any(table.kernel in ("uvm", "uvm_caching") for table in placement.tables)
    far = f" and {machine.link / 1e10:.3g} GB/s of the host's, over a link of {machine.link / 1e9:.3g} GB/s"
    return f"{own / 1e9:,.0f} GB/s of memory{far if uses_host else ''}"


def _speeds(machine: Machine) -> str:
    near = f"{machine.intra / 1e9:,.3g} GB/s inside a host"
    return near if machine.num_hosts == 1 else f"{near} and {machine.inter / 1e9:,.3g} GB/s between hosts"
