"""The processes of one training: who there is, and what they tell each other. One process is a group of one."""

from recsys.ranks.collectives import broadcast, gather_rows, gather_rows_at_first, on_rank_zero, sum_over_ranks
from recsys.ranks.orders import BatchInfo, Exchange, StepSignals
from recsys.ranks.world import SINGLE_PROCESS, World, current, share

__all__ = [
    "SINGLE_PROCESS",
    "Exchange",
    "BatchInfo",
    "StepSignals",
    "World",
    "on_rank_zero",
    "broadcast",
    "current",
    "gather_rows",
    "gather_rows_at_first",
    "share",
    "sum_over_ranks",
]
