"""Sharding of the embedding tables: which device holds which rows and columns, planned, explained, saved and read."""

from recsys.sharding.machine import GPUS, RESERVED_FRACTION, Machine
from recsys.sharding.make_plan import make_sharding_plan
from recsys.sharding.plan import RankCost, ShardingPlan
from recsys.sharding.plan_for_run import describe_plan, largest_tables, plan_for_machine, plan_for_run, read_plan
from recsys.sharding.table_sharding import TableShard, TableSharding
from recsys.sharding.traffic import RankTraffic

__all__ = [
    "GPUS",
    "RESERVED_FRACTION",
    "Machine",
    "RankCost",
    "RankTraffic",
    "ShardingPlan",
    "TableShard",
    "TableSharding",
    "describe_plan",
    "largest_tables",
    "make_sharding_plan",
    "plan_for_machine",
    "plan_for_run",
    "read_plan",
]
