"""The processes of one training: who there is, and what they tell each other. One process is a group of one."""

from recsys.ranks.collectives import agreed, broadcast, gather_rows, gather_rows_at_first, sum_over_ranks
from recsys.ranks.orders import Exchange, Met, Orders
from recsys.ranks.world import ALONE, World, current, share

__all__ = [
    "ALONE",
    "Exchange",
    "Met",
    "Orders",
    "World",
    "agreed",
    "broadcast",
    "current",
    "gather_rows",
    "gather_rows_at_first",
    "share",
    "sum_over_ranks",
]
