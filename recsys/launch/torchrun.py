"""The environment variables by which torchrun, or `recsys train --devices`, tells a process its rank."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from recsys.errors import EnvironmentError_

__all__ = ["LISTENER", "RankInfo", "rank_info"]

LISTENER = "RECSYS_LISTENER"
"""Set by `recsys train --devices` for rank 0: the number of an open socket that listens at MASTER_PORT already."""


class RankInfo(NamedTuple):
    """The rank of a process, and where the ranks meet."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    """Host of rank 0."""
    port: int


def rank_info(environment: Mapping[str, str] = os.environ) -> RankInfo | None:
    """Return the rank that the environment gives to this process, None if it gives none.

    Raises:
        EnvironmentError_: variables are missing, or contradict each other.

    >>> rank_info({"RANK": "0", "WORLD_SIZE": "1"})
    RankInfo(rank=0, size=1, local_rank=0, local_size=1, address='', port=0)
    >>> rank_info({}) is None
    True
    """
    if "RANK" not in environment and "WORLD_SIZE" not in environment:
        return None
    rank, size = _read_int(environment, "RANK"), _read_int(environment, "WORLD_SIZE")
    if not 0 <= rank < size:
        raise EnvironmentError_(f"RANK must be from 0 to WORLD_SIZE - 1, got RANK={rank}, WORLD_SIZE={size}")
    if size == 1:
        return RankInfo(0, 1, 0, 1, "", 0)
    local_rank, local_size = _read_int(environment, "LOCAL_RANK"), _read_int(environment, "LOCAL_WORLD_SIZE")
    if not 0 <= local_rank < local_size:
        raise EnvironmentError_(
            "LOCAL_RANK must be from 0 to LOCAL_WORLD_SIZE - 1, "
            f"got LOCAL_RANK={local_rank}, LOCAL_WORLD_SIZE={local_size}"
        )
    if size % local_size:
        raise EnvironmentError_(
            f"every host must have as many ranks, got WORLD_SIZE={size}, LOCAL_WORLD_SIZE={local_size}"
        )
    address, port = _read(environment, "MASTER_ADDR"), _read_int(environment, "MASTER_PORT")
    return RankInfo(rank, size, local_rank, local_size, address, port)


def _read(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise EnvironmentError_(
            f"the environment has no {name}, but RANK or WORLD_SIZE; start the processes by torchrun, or unset both "
            "to train in one process"
        )
    return environment[name]


def _read_int(environment: Mapping[str, str], name: str) -> int:
    text = _read(environment, name)
    if not text.isdecimal():
        raise EnvironmentError_(f"{name} in the environment must be a whole number, got {text!r}")
    return int(text)
