"""Every error a user can cause, in one tree.

RecsysError
    ConfigError        a YAML file says something that cannot be
        ShardingError tables do not fit into the memory of the devices
    DataError          a data file is missing, broken, or not what the config promised
    ExportError        the exported model does not score as the trained one did
    LockedError        another process is writing there
    EnvironmentError_  an installed package or device does not fit

The command line prints the message of a RecsysError without a traceback and exits with code 2.
"""

__all__ = [
    "ConfigError",
    "DataError",
    "EnvironmentError_",
    "ExportError",
    "LockedError",
    "ShardingError",
    "Preempted",
    "RecsysError",
]


class RecsysError(Exception):
    """Base of all errors that are the user's to mend; the message says where, the rule, and the value."""


class ConfigError(RecsysError):
    """A configuration is not valid; the message lists every problem with file and line."""


class ShardingError(ConfigError):
    """Tables do not fit into the memory of the devices; the message says which, and what would make them fit."""


class DataError(RecsysError):
    """A data file is missing, unreadable, or does not hold what the configuration promised.

    Args:
        message: where, the rule, and the value.
        column: the column that it is about, if it is about one; the message names it, too.
        row: the row of that value, counted from 1.
    """

    def __init__(self, message: str = "", *, column: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.column = column
        self.row = row


class ExportError(RecsysError):
    """A bundle could not be written, or does not reproduce the scores of training."""


class LockedError(RecsysError):
    """Another process is writing there; the message says which."""


class EnvironmentError_(RecsysError):  # noqa: N801, N818 - the builtin has the name without underscore
    """The installed packages or devices cannot run this; the message says what to install."""


class Preempted(SystemExit):
    """Training was told to stop (SIGTERM) and has saved what it needs to resume; ends the process with exit code 75.

    >>> Preempted().code
    75
    """

    EXIT_CODE = 75
    """EX_TEMPFAIL: the same command, later, may succeed."""

    def __init__(self) -> None:
        super().__init__(self.EXIT_CODE)
