"""Which device holds which part of which table: planned, explained, saved, and carried out again."""

from recsys.sharding.machine import GPUS, KEPT_FREE, Machine
from recsys.sharding.make_plan import place
from recsys.sharding.sharding_plan import Placement, RankCost
from recsys.sharding.shards import Part, TableSharding
from recsys.sharding.traffic import Wire

__all__ = ["GPUS", "KEPT_FREE", "Machine", "Part", "Placement", "RankCost", "TableSharding", "Wire", "place"]
