"""Sharding plans cover every table once, keep to the memory of the devices, and are the same everywhere."""

import time

import pytest

from recsys.sharding import GPUS
from tests.sharding.plans import BIG, SMALL, cpus, make_layout, make_plan


@pytest.mark.parametrize("world_size", [2, 8, 16, 128])
@pytest.mark.parametrize("optimizer", ["rowwise_adagrad", "adagrad", "adam"])
def test_every_row_and_column_is_on_one_rank_and_memory_suffices(world_size: int, optimizer: str) -> None:
    started = time.monotonic()
    machine = GPUS["a100-80"].with_devices(world_size, min(world_size, 8))
    plan = make_plan(make_layout(BIG, {}, dim=128), machine, optimizer=optimizer)
    for table in plan.tables:
        assert sum(shard.num_rows * shard.num_columns for shard in table.shards) == table.rows * table.dim
        assert len({(shard.first_row, shard.first_column) for shard in table.shards}) == len(table.shards)
        assert all(shard.num_columns % 4 == 0 and shard.num_rows > 0 for shard in table.shards)
        assert all(shard.rank < world_size for shard in table.shards)
        assert table.sharding != "data_parallel"
        if optimizer == "rowwise_adagrad":
            assert all(shard.num_columns == table.dim for shard in table.shards)
    assert all(rank.memory_bytes <= plan.machine.usable for rank in plan.ranks)
    table_bytes = sum(table.weight_bytes + table.state_bytes for table in plan.tables)
    assert sum(rank.table_bytes for rank in plan.ranks) == table_bytes
    assert time.monotonic() - started < 30


def test_bytes_are_those_of_rows_and_optimizer_state() -> None:
    machine = GPUS["h100"].with_devices(2, 2)
    (user, item, tags) = make_plan(make_layout(BIG, {}), machine, optimizer="rowwise_adagrad").tables
    assert (user.weight_bytes, user.state_bytes) == (40_000_000 * 64, 40_000_000 * 4)
    assert (item.weight_bytes, item.state_bytes) == (3_000_000 * 64, 3_000_000 * 4)
    assert (tags.rows, tags.dim) == (3, 16)
    half = make_plan(make_layout(BIG, {"precision": "fp16"}), machine).tables[0]
    assert (half.weight_bytes, half.state_bytes) == (40_000_000 * 32, 40_000_000 * 64)  # the state stays in 32 bits


def test_a_single_process_holds_every_table_whole() -> None:
    plan = make_plan(make_layout(SMALL, {"sharding": "row_wise"}), cpus(1))
    assert {(table.sharding, table.kernel, table.reason) for table in plan.tables} == {
        ("table_wise", "ram", "one device")
    }
    assert [table.ranks for table in plan.tables] == [[0], [0], [0]]
    assert plan.ranks[0].traffic.intra_host == plan.all_reduce_ms == 0
