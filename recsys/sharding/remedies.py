"""Tables that do not fit: which, by how much, and what would make them fit. Every proposal has been tried."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from recsys.config.schemes import SCHEMES
from recsys.errors import ShardingError
from recsys.sharding.machine import KEPT_FREE, Machine
from recsys.sharding.problem import PlanningProblem
from recsys.sharding.table_load import TableLoad
from recsys.units import format_bytes

__all__ = ["Remedy", "does_not_fit", "remedies"]

_PER_HOST = 8
"""GPUs of a common host."""
_MOST_HOSTS = 32


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change of the command or of the configuration that makes the tables fit."""

    kind: Literal["devices", "sharding", "placement", "precision", "sparse_optimizer", "budget"]
    values: tuple[tuple[str, str], ...]
    """(Table of the configuration, its new value); the table is "" where it is no key of tables."""

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


def does_not_fit(case: PlanningProblem) -> ShardingError:
    """Return the error that says what is too large, and what would help."""
    found = [str(remedy) for remedy in remedies(case)]
    advice = (
        "any of these would make it fit:\n  " + "\n  ".join(found) if found else "nothing that was tried would help"
    )
    return ShardingError(f"{_too_large(case)};\n{advice}")


def remedies(case: PlanningProblem) -> Iterator[Remedy]:
    """Yield changes each of which makes the tables fit."""
    if number := _devices(case):
        yield Remedy("devices", (("", str(number)),))
    if case.machine.world > 1:
        yield from _tables(case, "sharding", "row_wise", _can_be_dealt)
    if case.machine.device == "cuda":
        yield from _tables(case, "placement", "uvm", lambda load: load.request.placement != "uvm")
    yield from _tables(case, "precision", "fp16", _takes_fp16)
    if any(load.state_by_weight for load in case.loads):
        lighter = case.changed(lambda load: replace(load, state_by_row=4, state_by_weight=0))
        if not any(load.request.sharding in ("column_wise", "grid") for load in case.loads) and lighter.fits():
            yield Remedy("sparse_optimizer", (("", "rowwise_adagrad"),))
    yield from _budget(case)


def _too_large(case: PlanningProblem) -> str:
    """Name the table of which even the smallest part is too large for a device, or the largest of too many."""
    machine, room = case.machine, case.room
    least: dict[str, int] = {}
    for option in case.planner().options:
        most = max(shard.storage.ddr if machine.device == "cpu" else shard.storage.hbm for shard in option.shards)
        least[option.name] = min(most, least.get(option.name, most))
    load = max(case.loads, key=lambda load: (least[load.name] > room, least[load.name], load.total_bytes))
    has = (
        f"{format_bytes(room)} for tables: of {format_bytes(machine.memory)}, {KEPT_FREE:.0%} are kept free, and "
        f"{format_bytes(case.held_bytes + case.vector_bytes)} are for the dense part and a batch's vectors"
    )
    if machine.device == "cpu":
        has += "; half of the rest is for the copy that a checkpoint is written from"
    what = f"tables.{load.request.table}: {load.rows:,} rows x {load.dim} ({load.request.precision})"
    if least[load.name] > room:
        return (
            f"{what} need {format_bytes(least[load.name])} on one device, with the optimiser's state "
            f"and buffers, which has {has}"
        )
    total = sum(one.total_bytes for one in case.loads)
    return (
        f"{what} are the largest of tables that need {format_bytes(total)} together, with the optimiser's state, "
        f"beside buffers; {'the device' if machine.world == 1 else f'each of {machine.world} devices'} has {has}"
    )


def _devices(case: PlanningProblem) -> int | None:
    """Return the least number of devices that would do, as many on each host as now, or as a full host has."""
    machine = case.machine
    worlds = _larger(machine)
    if not worlds or not case.on(worlds[-1]).fits():
        return None
    number = _least(len(worlds), lambda number: case.on(worlds[number - 1]).fits())
    assert number is not None, "it fits on the largest"
    return worlds[number - 1].world


def _larger(machine: Machine) -> list[Machine]:
    """Return larger machines: fuller hosts of GPUs, then more hosts. More processes on one CPU have no more memory."""
    local, found = machine.per_host, []
    if machine.device == "cuda" and machine.num_hosts == 1:
        found = [machine.of(number, number) for number in (2, 4, _PER_HOST) if number > local]
        local = max(local, _PER_HOST)
    hosts = range(machine.num_hosts + 1, _MOST_HOSTS + 1)
    return found + [machine.of(number * local, local) for number in hosts]


def _can_be_dealt(load: TableLoad) -> bool:
    return not load.request.whole and load.request.sharding not in (None, "row_wise")


def _takes_fp16(load: TableLoad) -> bool:
    section = SCHEMES.get(load.request.scheme)
    return load.request.precision == "fp32" and (section is None or section.takes_fp16)


def _changed(load: TableLoad, key: str, value: str) -> TableLoad:
    asked: Any = {key: value}
    request = load.request._replace(**asked)
    return replace(load, request=request, weight_bytes=2 if request.precision == "fp16" else 4)


def _tables(case: PlanningProblem, key: str, value: str, can: Callable[[TableLoad], object]) -> Iterator[Remedy]:
    """Yield one key for as few tables as will do, the largest first."""
    names = _by_size([load for load in case.loads if can(load)])
    kind: Literal["sharding", "placement", "precision"] = key  # type: ignore[assignment]

    def fits(number: int) -> bool:
        return case.changed(lambda load: _changed(load, key, value) if can(load) else load, names[:number]).fits()

    if number := _least(len(names), fits):
        yield Remedy(kind, tuple((name, value) for name in names[:number]))


def _budget(case: PlanningProblem) -> Iterator[Remedy]:
    """Yield bytes for as few tables as will do, the largest first."""
    names = _by_size([load for load in case.loads if load.rows > 1])

    def shrunk(number: int, thousandths: int) -> PlanningProblem:
        return case.changed(lambda load: replace(load, rows=max(1, load.rows * thousandths // 1000)), names[:number])

    number = _least(len(names), lambda number: shrunk(number, 1).fits())
    if number is None:
        return
    lost = _least(999, lambda lost: shrunk(number, 1000 - lost).fits())
    assert lost is not None, "it fits with a thousandth of the rows"
    values = []
    for name in names[:number]:
        weights = sum(load.weights(load.rows, load.dim) for load in case.loads if load.request.table == name)
        values.append((name, _size(weights * (1000 - lost) // 1000)))
    yield Remedy("budget", tuple(values))


def _size(num_bytes: int) -> str:
    """Write bytes as a configuration takes them, rounded down.

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
        sizes[load.request.table] = sizes.get(load.request.table, 0) + load.total_bytes
    return sorted(sizes, key=lambda name: -sizes[name])


def _least(most: int, holds: Callable[[int], bool]) -> int | None:
    """Return the least number from 1 to `most` of which something holds that holds of all larger ones; None if none."""
    low, high = 1, 1
    while high <= most and not holds(high):  # the larger, the longer it takes
        low, high = high + 1, 2 * high
    high = min(high, most + 1)
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low if low <= most else None
