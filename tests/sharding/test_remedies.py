"""Tables that do not fit: the message names what is too large, and every remedy makes the tables fit."""

from typing import Any, NamedTuple

import pytest

from recsys.errors import ShardingError
from recsys.sharding import GPUS, Machine, ShardingPlan
from recsys.sharding.problem import PlanningProblem
from recsys.sharding.remedies import Remedy, remedies
from recsys.sharding.table_load import table_loads
from recsys.units import GB
from tests.sharding.plans import LENGTHS, cpus, make_layout, make_plan, sparse_optimizer

pytestmark = pytest.mark.slow

A100 = GPUS["a100-40"]


class Case(NamedTuple):
    """Tables of 128 floats a row that do not fit, and the kinds of remedies."""

    num_ids: dict[str, int]
    spec: dict[str, Any]
    machine: Machine
    optimizer: str
    remedies: set[str]


CASES = {
    "one GPU": Case(
        {"user": 40_000_000, "item": 30_000_000, "tags": 100},
        {},
        A100,
        "adagrad",
        {"devices", "placement", "sparse_optimizer", "budget"},
    ),
    "one GPU, nearly": Case(
        {"user": 40_000_000, "item": 33_000_000, "tags": 100},
        {},
        A100,
        "rowwise_adagrad",
        {"devices", "placement", "precision", "budget"},
    ),
    "both must be halved": Case(
        {"user": 60_000_000, "item": 45_000_000, "tags": 100},
        {},
        A100,
        "rowwise_adagrad",
        {"devices", "placement", "precision", "budget"},
    ),
    "state is too much": Case(
        {"user": 40_000_000, "item": 1000, "tags": 100},
        {},
        A100,
        "adagrad",
        {"devices", "placement", "precision", "sparse_optimizer", "budget"},
    ),
    "whole on one of eight": Case(
        {"user": 90_000_000, "item": 1000, "tags": 100},
        {"sharding": "table_wise"},
        A100.with_devices(8, 8),
        "rowwise_adagrad",
        {"sharding", "placement", "precision", "budget"},
    ),
    "two processes": Case(
        {"user": 40_000_000, "item": 30_000_000, "tags": 100},
        {},
        cpus(2, memory=32 * GB),
        "rowwise_adagrad",
        {"devices", "precision", "budget"},
    ),
}


def make_problem(num_ids: dict[str, int], spec: dict[str, Any], machine: Machine, optimizer: str) -> PlanningProblem:
    loads = table_loads(make_layout(num_ids, spec, dim=128), sparse_optimizer(optimizer), LENGTHS)
    return PlanningProblem(
        loads=loads, machine=machine, batch_size=65_536, dense_memory=80_000_000, communication="fp32"
    )


def plan_with(remedy: Remedy, case: Case) -> ShardingPlan:
    """Return the plan after a remedy has been applied to the command or the configuration."""
    machine, optimizer = case.machine, case.optimizer
    changes: dict[str, dict[str, Any]] = {}
    if remedy.kind == "devices":
        number = int(remedy.values[0][1])
        machine = machine.with_devices(number, min(8, number) if machine.device == "cuda" else machine.local_world_size)
    elif remedy.kind == "sparse_optimizer":
        optimizer = remedy.values[0][1]
    else:
        scheme = {"scheme": "hash"} if remedy.kind == "budget" else {}
        changes = {table: {remedy.kind: value, **scheme} for table, value in remedy.values}
    layout = make_layout(case.num_ids, case.spec, dim=128, changes=changes)
    return make_plan(layout, machine, optimizer=optimizer)


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_remedy_makes_the_tables_fit(name: str) -> None:
    case = CASES[name]
    with pytest.raises(ShardingError):
        make_plan(make_layout(case.num_ids, case.spec, dim=128), case.machine, optimizer=case.optimizer)
    found = list(remedies(make_problem(case.num_ids, case.spec, case.machine, case.optimizer)))
    assert {remedy.kind for remedy in found} == case.remedies
    for remedy in found:
        plan = plan_with(remedy, case)
        assert all(rank.memory_bytes <= plan.machine.usable for rank in plan.ranks), remedy


def test_one_device_fewer_than_proposed_is_too_few() -> None:
    for num_rows, number, fewer in ((90_000_000, 4, (2, 2)), (10**9, 32, (24, 8))):
        problem = make_problem({"user": num_rows, "item": 30, "tags": 100}, {}, A100, "adagrad")
        assert next(remedies(problem)) == Remedy("devices", (("", str(number)),))
        assert not problem.on(A100.with_devices(*fewer)).fits()


def test_the_message_names_the_table_its_bytes_and_the_remedies() -> None:
    layout = make_layout({"user": 90_000_000, "item": 1000, "tags": 100}, {"sharding": "table_wise"}, dim=128)
    with pytest.raises(ShardingError) as error:
        make_plan(layout, A100.with_devices(8, 8), optimizer="rowwise_adagrad")
    first, *advice = str(error.value).splitlines()
    assert first.startswith("tables.t_user: 90,000,000 rows x 128 (fp32) need 46.")
    assert "of 42.9 GB, 15% are reserved" in first
    assert advice[:3] == [
        "any of these would make it fit:",
        "  sharding: row_wise for tables.t_user",
        "  placement: uvm for tables.t_user",
    ]
