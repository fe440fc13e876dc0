"""Sharding types that are asked for are carried out where they are possible, and otherwise explained or refused."""

import pytest

from recsys.errors import ConfigError
from recsys.sharding import GPUS
from tests.sharding.plans import SMALL, cpus, make_layout, make_plan


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("sharding", ["table_wise", "row_wise", "column_wise", "table_row_wise", "grid"])
def test_a_sharding_type_that_is_asked_for_is_carried_out(sharding: str, device: str) -> None:
    machine = cpus(8, 4) if device == "cpu" else GPUS["h100"].with_devices(8, 4)
    plan = make_plan(make_layout({"user": 40_000, "item": 300, "tags": 80}, {"sharding": sharding}), machine)
    assert {table.sharding for table in plan.tables} == {sharding}
    assert {table.reason for table in plan.tables} == {"asked for"}


def test_tables_with_fewer_rows_than_ranks_are_not_split() -> None:
    plan = make_plan(make_layout({"user": 3, "item": 10, "tags": 8}, {"sharding": "row_wise"}), cpus(8))
    assert {table.name: table.sharding for table in plan.tables} == {
        "t_user_table": "table_wise",
        "t_item_table": "table_wise",
        "t_tags_table": "row_wise",
    }
    assert [table.reason for table in plan.tables][:2] == [
        "asked for row_wise, but 3 rows cannot be split over 8 devices",
        "asked for row_wise, but 10 rows cannot be split over 8 devices",  # in blocks of 2, which fill 5 devices
    ]
    layout = make_layout({"user": 3, "item": 3, "tags": 3}, {})
    free = make_plan(layout, cpus(8), optimizer="rowwise_adagrad")
    assert {(table.sharding, table.reason) for table in free.tables} == {
        ("table_wise", "3 rows cannot be split over 8 devices")
    }


def test_rows_that_are_too_narrow_to_be_split_are_refused() -> None:
    layout = make_layout(SMALL, {"sharding": "column_wise"}, dim=4)
    with pytest.raises(ConfigError, match=r"^tables\.t_user\.sharding: column_wise needs rows of at least 8 floats"):
        make_plan(layout, cpus(2))


def test_columns_are_not_split_if_the_optimizer_has_one_state_a_row() -> None:
    layout = make_layout(SMALL, {"sharding": "grid"}, dim=16)
    with pytest.raises(ConfigError, match="take sparse_optimizer adagrad, or shard row_wise"):
        make_plan(layout, cpus(2), optimizer="rowwise_adagrad")


def test_a_table_that_its_scheme_needs_whole_is_not_split() -> None:
    sizes = {"user": 4_000_000, "item": 3_000_000, "tags": 300}
    plan = make_plan(
        make_layout(sizes, {"scheme": "deeplight", "density": 0.1}, dim=128), GPUS["h200"].with_devices(16, 8)
    )
    assert {(table.sharding, table.reason) for table in plan.tables} == {
        ("table_wise", "scheme deeplight trains on the whole table")
    }
