"""The error for tables that do not fit into memory: which do not, by how much, and remedies that were tried."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from recsys.config.schemes import SCHEMES
from recsys.config.schemes.base import WEIGHT_BYTES
from recsys.errors import ShardingError
from recsys.sharding.machine import RESERVED_FRACTION, Machine
from recsys.sharding.problem import PlanningProblem
from recsys.sharding.table_load import TableLoad
from recsys.units import format_bytes

__all__ = ["Remedy", "does_not_fit", "remedies"]

_GPUS_OF_HOST = 8
_MAX_HOSTS = 32


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change of the command or of the configuration that makes the tables fit."""

    kind: Literal["devices", "sharding", "placement", "precision", "sparse_optimizer", "budget"]
    values: tuple[tuple[str, str], ...]
    """Pairs of a table of the configuration and its new value; the table is "" for what is no key of a table."""

    def __str__(self) -> str:
        if self.kind == "devices":
            return f"{self.values[0][1]} devices"
        if self.kind == "sparse_optimizer":
            return f"train: {{sparse_optimizer: {{name: {self.values[0][1]}}}}}"
        by_value: dict[str, list[str]] = {}
        for table, value in self.values:
            by_value.setdefault(value, []).append(f"tables.{table}")
        shown = ", ".join(f"{value} for {', '.join(tables)}" for value, tables in by_value.items())
        suffix = " (with a scheme that compresses, such as hash or unified)" if self.kind == "budget" else ""
        return f"{self.kind}: {shown}{suffix}"


def does_not_fit(problem: PlanningProblem) -> ShardingError:
    """Return the error that says what is too large, and what would make it fit."""
    found = [str(remedy) for remedy in remedies(problem)]
    advice = (
        "any of these would make it fit:\n  " + "\n  ".join(found) if found else "nothing that was tried would help"
    )
    return ShardingError(f"{_too_large(problem)};\n{advice}")


def remedies(problem: PlanningProblem) -> Iterator[Remedy]:
    """Yield changes that each make the tables fit."""
    if number := _devices(problem):
        yield Remedy("devices", (("", str(number)),))
    if problem.machine.world_size > 1:
        yield from _tables(problem, "sharding", "row_wise", _can_be_row_wise)
    if problem.machine.device == "cuda":
        yield from _tables(problem, "placement", "uvm", lambda load: load.constraints.placement != "uvm")
    yield from _tables(problem, "precision", "fp16", _takes_fp16)
    if any(load.state_by_weight for load in problem.loads):
        lighter = problem.with_loads(lambda load: replace(load, state_by_row=4, state_by_weight=0))
        if not any(load.constraints.sharding in ("column_wise", "grid") for load in problem.loads) and lighter.fits():
            yield Remedy("sparse_optimizer", (("", "rowwise_adagrad"),))
    yield from _budget(problem)


def _too_large(problem: PlanningProblem) -> str:
    """Name the table whose smallest possible shard is too large for a device, or else the largest table."""
    machine, available = problem.machine, problem.table_memory
    least: dict[str, int] = {}
    for option in problem.planner().options:
        most = max(shard.storage.ddr if machine.device == "cpu" else shard.storage.hbm for shard in option.shards)
        least[option.name] = min(most, least.get(option.name, most))
    load = max(problem.loads, key=lambda load: (least[load.name] > available, least[load.name], load.total_bytes))
    has = (
        f"{format_bytes(available)} for tables: of {format_bytes(machine.memory)}, {RESERVED_FRACTION:.0%} are "
        f"reserved, and {format_bytes(problem.dense_memory + problem.vector_bytes)} are for the dense part and a "
        "batch's vectors"
    )
    if machine.device == "cpu":
        has += "; half of the rest is for the copy that a checkpoint is written from"
    what = f"tables.{load.constraints.table}: {load.rows:,} rows x {load.dim} ({load.constraints.precision})"
    if least[load.name] > available:
        return (
            f"{what} need {format_bytes(least[load.name])} on one device, with the optimizer's state "
            f"and buffers, which has {has}"
        )
    total = sum(one.total_bytes for one in problem.loads)
    devices = "the device" if machine.world_size == 1 else f"each of {machine.world_size} devices"
    return (
        f"{what} are the largest of tables that need {format_bytes(total)} together, with the optimizer's state, "
        f"beside buffers; {devices} has {has}"
    )


def _devices(problem: PlanningProblem) -> int | None:
    """Return the least number of devices on which the tables fit, or None; hosts are filled before others are added."""
    machines = _larger_machines(problem.machine)
    if not machines or not problem.on(machines[-1]).fits():
        return None
    number = _least(len(machines), lambda number: problem.on(machines[number - 1]).fits())
    assert number is not None, "it fits on the largest"
    return machines[number - 1].world_size


def _larger_machines(machine: Machine) -> list[Machine]:
    """Return larger machines, ascending: more GPUs in the host, then more hosts; processes on a CPU share memory."""
    local, found = machine.local_world_size, []
    if machine.device == "cuda" and machine.num_hosts == 1:
        found = [machine.with_devices(number, number) for number in (2, 4, _GPUS_OF_HOST) if number > local]
        local = max(local, _GPUS_OF_HOST)
    hosts = range(machine.num_hosts + 1, _MAX_HOSTS + 1)
    return found + [machine.with_devices(number * local, local) for number in hosts]


def _can_be_row_wise(load: TableLoad) -> bool:
    return not load.constraints.needs_whole_table and load.constraints.sharding not in (None, "row_wise")


def _takes_fp16(load: TableLoad) -> bool:
    section = SCHEMES.get(load.constraints.scheme)
    return load.constraints.precision == "fp32" and (section is None or section.takes_fp16)


def _changed(load: TableLoad, key: str, value: str) -> TableLoad:
    asked: Any = {key: value}
    constraints = load.constraints._replace(**asked)
    return replace(load, constraints=constraints, weight_bytes=WEIGHT_BYTES[constraints.precision])


def _tables(problem: PlanningProblem, key: str, value: str, can: Callable[[TableLoad], object]) -> Iterator[Remedy]:
    """Yield a new value of one key for as few tables as possible, the largest first."""
    names = _by_size([load for load in problem.loads if can(load)])
    kind: Literal["sharding", "placement", "precision"] = key  # type: ignore[assignment]

    def fits(number: int) -> bool:
        return problem.with_loads(lambda load: _changed(load, key, value) if can(load) else load, names[:number]).fits()

    if number := _least(len(names), fits):
        yield Remedy(kind, tuple((name, value) for name in names[:number]))


def _budget(problem: PlanningProblem) -> Iterator[Remedy]:
    """Yield budgets in bytes for as few tables as possible, the largest first."""
    names = _by_size([load for load in problem.loads if load.rows > 1])

    def shrunk(number: int, thousandths: int) -> PlanningProblem:
        return problem.with_loads(
            lambda load: replace(load, rows=max(1, load.rows * thousandths // 1000)), names[:number]
        )

    number = _least(len(names), lambda number: shrunk(number, 1).fits())
    if number is None:
        return
    lost = _least(999, lambda lost: shrunk(number, 1000 - lost).fits())
    assert lost is not None, "it fits with a thousandth of the rows"
    values = []
    for name in names[:number]:
        weights = sum(
            load.shard_weight_bytes(load.rows, load.dim) for load in problem.loads if load.constraints.table == name
        )
        values.append((name, _size(weights * (1000 - lost) // 1000)))
    yield Remedy("budget", tuple(values))


def _size(num_bytes: int) -> str:
    """Return bytes as a configuration takes them, rounded down.

    >>> _size(12_345_678_901), _size(900)
    ('12345MB', '900B')
    """
    for factor, unit in ((10**6, "MB"), (10**3, "kB")):
        if num_bytes >= 1000 * factor:
            return f"{num_bytes // factor}{unit}"
    return f"{num_bytes}B"


def _by_size(loads: Sequence[TableLoad]) -> list[str]:
    """Return the tables of the configuration, the largest first."""
    sizes: dict[str, int] = {}
    for load in loads:
        sizes[load.constraints.table] = sizes.get(load.constraints.table, 0) + load.total_bytes
    return sorted(sizes, key=lambda name: -sizes[name])


def _least(most: int, holds: Callable[[int], bool]) -> int | None:
    """Return the least number from 1 to `most` for which `holds`, or None; it must hold for all larger ones too."""
    low, high = 1, 1
    while high <= most and not holds(high):  # begin with small numbers, which are the fastest to try
        low, high = high + 1, 2 * high
    high = min(high, most + 1)
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low if low <= most else None
