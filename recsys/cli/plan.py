"""`recsys plan`: who would hold what on other machines than this one, why, and what a step would cost."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys.cli.dense_cost import tower_of
from recsys.cli.progress import print_table, progress_reports
from recsys.config import Config, Field, IdsFeature, Plan, SequenceFeature, load_config, resolve
from recsys.config.budget import budget_bytes, read_budget
from recsys.data.prepare import prepare
from recsys.data.prepared import PreparedSplit
from recsys.data.window import Columns, list_chunks, load_window
from recsys.embeddings import Layout, Member
from recsys.embeddings.build import human_bytes
from recsys.embeddings.placement import GPUS, KEPT_FREE, Machine, Placement, RankCost, place
from recsys.embeddings.placement.dense import dense_of
from recsys.embeddings.scheme import physical_name
from recsys.embeddings.vocabularies import vocabularies, vocabularies_of_config
from recsys.errors import ConfigError, DataError
from recsys.towers import tower_class

__all__ = ["Hardware", "machine_of", "show_placement"]

DENSE_SHARE = 0.4
"""Of a device's peak that the dense part is taken to reach."""
MANY_RANKS = 16
PER_HOST = 8
SAMPLED_BATCHES = 16
"""Record batches of prepared rows, 262,144 rows, from which mean lengths are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The machine as the command line describes it; None: as the preset has it."""

    device: str = "cuda"
    world: int = 1
    per_host: int | None = None
    gpu: str = "h100"
    memory: str | None = None
    host_memory: str | None = None
    intra_bandwidth: str | None = None
    inter_bandwidth: str | None = None


def show_placement(path: Path, hardware: Hardware, *, out: Path | None, data_dir: Path, cache_dir: Path) -> None:
    """Print who would hold what, and what a step is estimated to cost.

    Args:
        path: of the config.
        hardware: to plan for; none of it need be here.
        out: write the plan here, as JSON that `recsys train --plan` carries out.
        data_dir: what the config's paths are relative to.
        cache_dir: where prepared data is kept.

    Raises:
        PlacementError: the tables do not fit.
        ConfigError: the config or the hardware cannot be.
        DataError: vocabularies are learnt from data, and the data is not there.
    """
    machine = machine_of(hardware)
    plan, members, lengths, assumed = _sizes(load_config(path), data_dir, cache_dir)
    train = plan.config.train
    with torch.device("meta"):  # the schemes of large vocabularies hold large tensors
        layout = Layout(
            plan,
            members,
            jagged=tower_class(plan.config.model.tower).uses_behaviours,
            regularized=train.regularization.rows > 0,
        )
    tower, flops = tower_of(plan, layout, lengths)
    dense = dense_of(layout, [tower], train)
    placement = place(
        layout,
        machine=machine,
        batch_size=train.batch_size,
        optimizer=train.sparse_optimizer,
        lengths=lengths,
        dense_bytes=dense.gradients,
        held_bytes=dense.held,
        communication=train.communication,
    )
    _show(placement, flops, is_bf16=train.precision == "bf16-mixed")
    if assumed:
        _say(f"without data, rows are taken to be full: max_len ids of {', '.join(assumed)}")
    if out is not None:
        draft = out.with_name(f"{out.name}.tmp")
        draft.write_text(placement.to_json(), encoding="utf-8")
        draft.replace(out)
        _say(f"\n{out}: the plan; carry it out with recsys train {path} --plan {out}")


def machine_of(hardware: Hardware) -> Machine:
    """Return the machine that the command line describes.

    Raises:
        ConfigError: a size cannot be read, or the devices do not fill whole hosts.
    """
    world = hardware.world
    per_host = hardware.per_host or min(world, PER_HOST)
    sizes = {
        "memory": _size(hardware.memory, "--memory"),
        "host_memory": _size(hardware.host_memory, "--host-memory"),
        "intra": _size(hardware.intra_bandwidth, "--intra-bandwidth"),
        "inter": _size(hardware.inter_bandwidth, "--inter-bandwidth"),
    }
    given: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    if hardware.device == "cpu":
        machine = Machine.here(1, "cpu")
        host = given.get("host_memory") or given.get("memory", 0) * min(world, per_host) or machine.host_memory
        return replace(replace(machine, host_memory=host).of(world, per_host), **given)
    if hardware.gpu not in GPUS:
        raise ConfigError(f"--gpu: must be one of {', '.join(GPUS)}, got {hardware.gpu!r}")
    return replace(GPUS[hardware.gpu].of(world, per_host), **given)


def _size(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    size = budget_bytes(read_budget(text, where=option), None)
    if not size:
        raise ConfigError(f"{option}: must be bytes such as 80GiB, got {text}")
    return size


def _sizes(
    config: Config, data_dir: Path, cache_dir: Path
) -> tuple[Plan, dict[str, Member], dict[str, float], list[str]]:
    """Return the plan, its vocabularies, mean ids of rows, and the fields for which these are only assumed."""
    known = _known(config)
    if known is not None:
        plan, members = known
        full = {field.name: float(_max_len(plan, field)) for field in _lists(plan)}
        return plan, members, full, list(full)
    try:
        with progress_reports() as progress:
            prepared = prepare(config, data_dir, cache_dir, progress)
    except DataError as error:
        raise DataError(
            f"{error}\nthe plan needs the data: its vocabularies are learnt, so they size the tables"
        ) from error
    lengths = mean_lengths(prepared.splits["train"], prepared.plan)
    return prepared.plan, vocabularies(prepared.plan, prepared.state), lengths, []


def _known(config: Config) -> tuple[Plan, dict[str, Member]] | None:
    """Return plan and vocabularies if the config alone tells them."""
    try:
        plan = resolve(config, config.data.columns or [])
    except ConfigError:
        return None  # it has globs, which stand for columns of the data
    members = vocabularies_of_config(plan)
    return None if members is None else (plan, members)


def _max_len(plan: Plan, field: Field) -> int:
    feature = plan.features[field.feature]
    assert isinstance(feature, IdsFeature | SequenceFeature)
    return feature.max_len


def _lists(plan: Plan) -> list[Field]:
    return list(plan.fields_of_kind("ids", "sequence"))


def mean_lengths(split: PreparedSplit, plan: Plan) -> dict[str, float]:
    """Return the mean ids of a row, of fields that may have several, in the first rows of a split."""
    columns = Columns.of(plan)
    window = load_window(list_chunks(split.files, columns)[:SAMPLED_BATCHES], columns)
    return {name: len(values) / max(1, len(offsets) - 1) for name, (values, offsets) in window.lists.items()}


def _say(text: str) -> None:
    Console(highlight=False, markup=False, soft_wrap=True).print(text)


def _show(placement: Placement, flops: float, *, is_bf16: bool) -> None:
    machine = placement.machine
    hosts = f" on {machine.num_hosts} hosts" if machine.num_hosts > 1 else ""
    each = -(-placement.batch_size // machine.world)
    _say(
        f"{len(placement.tables)} tables on {machine.world} x {machine.name}{hosts}; "
        f"{placement.batch_size:,} rows a step, {each:,} on each; {placement.optimizer}\n"
    )
    print_table(_tables(placement))
    _say("why: estimated ms on each of so many devices; the same of the sharding that is cheapest of the others\n")
    print_table(_ranks(placement))
    _say("wire: bytes that a device sends or receives in a step, whichever is more: ids, vectors, their gradients\n")
    print_table(_step(placement, flops, is_bf16=is_bf16))
    _say(
        "estimated, not measured, as if nothing overlapped; left out: reading the data and copying it to the devices, "
        "kernel launches, the dense optimiser, what schemes compute, ids that are so frequent that one device gets most"
    )
    fullest = max(rank.memory_bytes for rank in placement.ranks)
    _say(
        f"\nfits: {human_bytes(fullest)} of the {human_bytes(machine.memory)} of the fullest device, "
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
        "dense gradients": (placement.all_reduce_ms, f"{human_bytes(placement.dense_bytes)} summed over the devices"),
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
