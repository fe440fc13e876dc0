"""The processes of one training: who they are, and what they tell each other. One process is a group of one."""

from recsys.ranks.batch_info import BatchInfo, Exchange, StepSignals
from recsys.ranks.collectives import (
    all_gather_rows,
    broadcast,
    gather_rows_to_rank_zero,
    on_rank_zero,
    sum_over_ranks,
)
from recsys.ranks.world import SINGLE_PROCESS, World, current_world, rank_slice

__all__ = [
    "SINGLE_PROCESS",
    "BatchInfo",
    "Exchange",
    "StepSignals",
    "World",
    "all_gather_rows",
    "broadcast",
    "current_world",
    "gather_rows_to_rank_zero",
    "on_rank_zero",
    "rank_slice",
    "sum_over_ranks",
]
