"""The reason why a training of several processes ended, reported once however many of them fail.

The process that starts the others (launcher.py) gives them the name of a file. The first one that fails writes its
reason there, and the launcher prints it on the last lines.
"""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["FAILURE_FILE", "Failure", "describe_exit", "is_launched", "report_to_launcher"]

FAILURE_FILE = "RECSYS_FAILURE_FILE"
"""Environment variable with the path at which the first process that fails writes its `Failure`."""


class Failure(NamedTuple):
    """The reason why a training ends."""

    rank: int
    """The rank that failed."""
    reason: str
    code: int
    """Exit code of all processes: 2 if it is an error that the user can fix."""

    def to_json(self) -> str:
        """Return the text that `from_json` reads."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str | bytes) -> "Failure":
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        """Return the message; an error that the user can fix, and that all ranks would find, is without the rank."""
        return f"error: {self.reason}" if self.code == 2 else f"error: rank {self.rank}: {self.reason}"


def is_launched() -> bool:
    """Return whether `recsys train --devices` started this process, and so prints how the training ended."""
    return FAILURE_FILE in os.environ


def report_to_launcher(failure: Failure) -> bool:
    """Write a failure for the process that started this one; of several failures the first one is kept.

    Returns:
        False if no launcher can be told: this process must print the reason itself.
    """
    if not is_launched():
        return False
    path = Path(os.environ[FAILURE_FILE])
    own = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        own.write_text(failure.to_json())
        with suppress(FileExistsError):
            path.hardlink_to(own)  # unlike a rename, it keeps a file that is there
        own.unlink()
    except OSError:  # the launcher is gone, or the disk is full: better printed twice than not at all
        return False
    return True


def describe_exit(exit_code: int) -> str:
    """Describe how a process ended unexpectedly.

    Args:
        exit_code: as `subprocess` has it: the negative number of a signal, or the exit status.

    >>> describe_exit(-9)
    'the process was killed (SIGKILL), as the system does when memory runs out'
    """
    if exit_code >= 0:
        return f"the process ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"the process was killed ({name}){hint}"
