"""Sharding plans that were saved in version 1 of the file, whose keys had other names."""

from collections.abc import Mapping
from typing import Any

__all__ = ["from_version_1"]

_PLAN = {"dense_bytes": "dense_gradient_bytes", "dense_wire": "all_reduce_traffic"}
_MACHINE = {
    "world": "world_size",
    "per_host": "local_world_size",
    "intra": "intra_bandwidth",
    "inter": "inter_bandwidth",
    "memory_speed": "memory_bandwidth",
    "host_speed": "host_memory_bandwidth",
    "link": "host_link_bandwidth",
}
_TABLE = {"shard": "sharding", "parts": "shards", "why": "reason"}
_SHARD = {"row": "first_row", "column": "first_column", "rows": "num_rows", "columns": "num_columns"}
_TRAFFIC = {"intra": "intra_host", "inter": "inter_host"}


def from_version_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a plan under the names of version 2."""
    plan = _renamed(values, _PLAN)
    plan["machine"] = _renamed(plan["machine"], _MACHINE)
    plan["all_reduce_traffic"] = _renamed(plan["all_reduce_traffic"], _TRAFFIC)
    plan["tables"] = [_table(table) for table in plan["tables"]]
    plan["ranks"] = [_renamed(rank, {"wire": "traffic"}) for rank in plan["ranks"]]
    for rank in plan["ranks"]:
        rank["traffic"] = _renamed(rank["traffic"], _TRAFFIC)
    return plan


def _table(values: Mapping[str, Any]) -> dict[str, Any]:
    table = _renamed(values, _TABLE)
    table["shards"] = [_renamed(shard, _SHARD) for shard in table["shards"]]
    if table["collection"] == "slots":
        table["collection"] = "unpooled"
    return table


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in values.items()}
