"""The rank of this process, and how many there are."""

from dataclasses import dataclass

from torch import distributed

__all__ = ["SINGLE_PROCESS", "World", "current_world", "rank_slice"]


@dataclass(frozen=True, slots=True)
class World:
    """The position of a process among those that train together; ranks are numbered from 0."""

    rank: int = 0
    """Number of this process over all hosts."""
    size: int = 1
    """Number of ranks on all hosts (torchrun's WORLD_SIZE)."""
    local_rank: int = 0
    """Within this host; the number of its CUDA device."""
    local_size: int = 1
    """Number of ranks on this host."""

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the rank that prints and writes for all."""
        return self.rank == 0

    @property
    def num_hosts(self) -> int:
        """Number of hosts; all have as many ranks."""
        return self.size // self.local_size


SINGLE_PROCESS = World()


def current_world() -> World:
    """Return rank and size of the process group of this process, or `SINGLE_PROCESS`.

    torch does not know hosts: `local_rank` and `local_size` are not set.
    """
    if not distributed.is_initialized():
        return SINGLE_PROCESS
    return World(distributed.get_rank(), distributed.get_world_size())


def rank_slice(num_rows: int, rank: int, size: int) -> slice:
    """Return which rows of a batch belong to a rank: consecutive ones, and no rank has two more than another.

    >>> [rank_slice(10, rank, 4) for rank in range(4)]
    [slice(0, 2, None), slice(2, 5, None), slice(5, 7, None), slice(7, 10, None)]
    """
    return slice(num_rows * rank // size, num_rows * (rank + 1) // size)
