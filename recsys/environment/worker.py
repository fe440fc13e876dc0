"""What a process that trains beside others learns from its environment, and what it tells the one that started it.

The environment is torchrun's, also where `recsys train --devices` starts the processes (recsys/launch). That one adds
the name of a file for the reason of a failure: so it is said once, on the last lines, however many processes fail.
"""

import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from recsys.errors import EnvironmentError_

__all__ = ["LISTENER", "REASON", "Failure", "RankInfo", "describe_exit", "is_launched", "place", "tell_launcher"]

REASON = "RECSYS_REASON"
"""Variable with the path at which the first failed process writes why."""

LISTENER = "RECSYS_LISTENER"
"""Variable of rank 0 with the number of the open socket that listens at MASTER_PORT, so that nobody else takes it."""


class RankInfo(NamedTuple):
    """Where a process stands among those that train together."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    """Of the host of rank 0."""
    port: int


class Failure(NamedTuple):
    """Why a training ends."""

    rank: int
    reason: str
    code: int
    """Exit code of all: 2 if the user can mend it."""

    def to_json(self) -> str:
        """Return the text that `from_json` reads."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str | bytes) -> "Failure":
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        """Say why; of what the user can mend, and all ranks would find, without the rank."""
        return f"error: {self.reason}" if self.code == 2 else f"error: rank {self.rank}: {self.reason}"


def place(environment: Mapping[str, str] = os.environ) -> RankInfo | None:
    """Return this process's place, None if nobody gave it one.

    Raises:
        EnvironmentError_: variables are missing, or contradict each other.

    >>> place({"RANK": "0", "WORLD_SIZE": "1"})
    RankInfo(rank=0, size=1, local_rank=0, local_size=1, address='', port=0)
    >>> place({}) is None
    True
    """
    if "RANK" not in environment and "WORLD_SIZE" not in environment:
        return None
    rank, size = _number(environment, "RANK"), _number(environment, "WORLD_SIZE")
    if not 0 <= rank < size:
        raise EnvironmentError_(f"RANK must be from 0 to WORLD_SIZE - 1, got RANK={rank}, WORLD_SIZE={size}")
    if size == 1:
        return RankInfo(0, 1, 0, 1, "", 0)
    local_rank, local_size = _number(environment, "LOCAL_RANK"), _number(environment, "LOCAL_WORLD_SIZE")
    if not 0 <= local_rank < local_size:
        raise EnvironmentError_(
            "LOCAL_RANK must be from 0 to LOCAL_WORLD_SIZE - 1, "
            f"got LOCAL_RANK={local_rank}, LOCAL_WORLD_SIZE={local_size}"
        )
    if size % local_size:
        raise EnvironmentError_(
            f"every host must have as many ranks, got WORLD_SIZE={size}, LOCAL_WORLD_SIZE={local_size}"
        )
    address, port = _word(environment, "MASTER_ADDR"), _number(environment, "MASTER_PORT")
    return RankInfo(rank, size, local_rank, local_size, address, port)


def is_launched() -> bool:
    """Return whether `recsys train --devices` started this process, and so has the last word."""
    return REASON in os.environ


def tell_launcher(failure: Failure) -> bool:
    """Leave the reason to the process that started this one; of several reasons it says the first.

    Returns:
        False: there is none; this process must say it.
    """
    if not is_launched():
        return False
    path = Path(os.environ[REASON])
    own = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        own.write_text(failure.to_json())
        with suppress(FileExistsError):
            path.hardlink_to(own)  # unlike a rename, it leaves what is there
        own.unlink()
    except OSError:  # the launcher is gone, or there is no room: better said twice than not at all
        return False
    return True


def describe_exit(exit_code: int) -> str:
    """Say how a process ended that was not meant to.

    >>> describe_exit(-9)
    'the process was killed (SIGKILL), as the system does when memory runs out'
    """
    if exit_code >= 0:
        return f"the process ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"the process was killed ({name}){hint}"


def _word(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise EnvironmentError_(
            f"the environment has no {name}, but RANK or WORLD_SIZE; start the processes by torchrun, or unset both "
            "to train in one process"
        )
    return environment[name]


def _number(environment: Mapping[str, str], name: str) -> int:
    text = _word(environment, name)
    if not text.isdecimal():
        raise EnvironmentError_(f"{name} in the environment must be a whole number, got {text!r}")
    return int(text)
