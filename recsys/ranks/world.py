"""A process's place among those that train together."""

from dataclasses import dataclass

from torch import distributed

__all__ = ["SINGLE_PROCESS", "World", "current", "share"]


@dataclass(frozen=True, slots=True)
class World:
    """Ranks are numbered from 0, over all hosts and within each."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the rank that speaks and writes for all."""
        return self.rank == 0

    @property
    def num_hosts(self) -> int:
        """Hosts, all with as many ranks."""
        return self.size // self.local_size


SINGLE_PROCESS = World()


def current() -> World:
    """Return the rank and size of the process group that was joined, or `SINGLE_PROCESS`; hosts are unknown."""
    if not distributed.is_initialized():
        return SINGLE_PROCESS
    return World(distributed.get_rank(), distributed.get_world_size())


def share(num_rows: int, rank: int, size: int) -> slice:
    """Return which rows of a batch are a rank's: consecutive ones, and no rank has two more than another.

    >>> [share(10, rank, 4) for rank in range(4)]
    [slice(0, 2, None), slice(2, 5, None), slice(5, 7, None), slice(7, 10, None)]
    """
    return slice(num_rows * rank // size, num_rows * (rank + 1) // size)
