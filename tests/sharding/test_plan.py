"""A sharding plan is read back as it was written, checked against the model, and handed to TorchRec."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recsys.embeddings import Lookup
from recsys.errors import ConfigError, DataError
from recsys.sharding import GPUS, ShardingPlan
from recsys.units import GB
from tests.sharding.plans import BIG, SMALL, cpus, make_layout, make_plan, sparse_optimizer

VERSION_1 = Path(__file__).with_name("plan_version_1.json")
"""A plan that was written before the keys of the file were renamed."""


def test_json_is_read_back_as_it_was_written() -> None:
    plan = make_plan(make_layout(BIG, {}, dim=128), GPUS["h100"].with_devices(16, 8))
    assert ShardingPlan.from_json(plan.to_json(), where="plan.json") == plan
    later = plan.to_json().replace('"version": 2', '"version": 3')
    with pytest.raises(ConfigError, match=r"^plan\.json: was written by another version"):
        ShardingPlan.from_json(later, where="plan.json")
    bare = json.dumps({key: value for key, value in json.loads(plan.to_json()).items() if key != "checksum"})
    assert ShardingPlan.from_json(bare, where="plan.json") == plan
    for text in ("", "{}", '{"version": 1}', "[1]", bare.replace('"shards"', '"parts"')):
        with pytest.raises(ConfigError, match=r"^plan\.json: is no plan"):
            ShardingPlan.from_json(text, where="plan.json")


def test_a_plan_that_was_edited_is_refused_with_what_to_do() -> None:
    plan = make_plan(make_layout(BIG, {}, dim=128), GPUS["h100"].with_devices(16, 8))
    edited = plan.to_json().replace('"batch_size": ', '"batch_size": 1')
    with pytest.raises(DataError, match=r"plan\.json: is damaged or was edited: .*delete the key checksum in it"):
        ShardingPlan.from_json(edited, where="plan.json")


def test_files_of_version_1_are_read() -> None:
    layout = make_layout(SMALL, {"sharding": "row_wise"}, jagged=True)
    machine = replace(GPUS["h100"].with_devices(2, 2), host_memory=2**40)
    plan = make_plan(layout, machine, batch_size=64, dense_gradient_bytes=1000)
    assert ShardingPlan.from_json(VERSION_1.read_text(), where="plan.json") == plan


def test_a_plan_must_be_for_the_same_tables_and_ranks() -> None:
    plan = make_plan(make_layout(SMALL, {"sharding": "column_wise"}), cpus(2))
    adagrad, rowwise = (sparse_optimizer(name) for name in ("adagrad", "rowwise_adagrad"))
    plan.check(make_layout(SMALL, {}), adagrad, world_size=2, local_world_size=2, where="plan.json")
    other = make_layout({**SMALL, "item": 18}, {})
    with pytest.raises(ConfigError) as error:
        plan.check(other, rowwise, world_size=4, local_world_size=4, where="plan.json")
    rowwise_lines = [
        f"  t_{name}_table: is column_wise in the plan, and sparse_optimizer rowwise_adagrad has one state a row"
        for name in ("user", "item", "tags")
    ]
    assert str(error.value).splitlines() == [
        "plan.json: the plan does not fit what is trained:",
        rowwise_lines[0],
        "  t_item_table: rows x dim is 17 x 16 in the plan, 18 x 16 in the model",
        *rowwise_lines[1:],
        "  it is for 2 ranks, and 4 train",
    ]


def test_rows_in_host_memory_need_cuda() -> None:
    layout = make_layout(BIG, {"placement": "uvm"})
    plan = make_plan(layout, GPUS["h100"].with_devices(2, 2))
    assert {table.kernel for table in plan.tables} == {"uvm"}
    assert sum(rank.table_bytes for rank in plan.ranks) == 0
    assert sum(rank.host_bytes for rank in plan.ranks) > 5 * GB
    for device, kernel in (("cuda", "fused_uvm"), ("cpu", "fused")):
        torchrec_plan = plan.to_torchrec(Lookup(layout), path="lookup", device=torch.device(device))
        assert {table.compute_kernel for table in torchrec_plan.plan["lookup.pooled"].values()} == {kernel}
    assert {table.kernel for table in make_plan(layout, cpus(2)).tables} == {"ram"}
