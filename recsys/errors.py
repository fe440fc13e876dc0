"""Every error a user can cause, in one tree.

RecsysError
    ConfigError        a YAML file says something that cannot be
    DataError          a data file is missing, broken, or not what the config promised
    ExportError        the exported model does not score as the trained one did
    EnvironmentError_  an installed package or device does not fit

The command line prints the message of a RecsysError without a traceback and exits with code 2.
"""

__all__ = ["ConfigError", "DataError", "EnvironmentError_", "ExportError", "RecsysError"]


class RecsysError(Exception):
    """Base of all errors that are the user's to mend; the message says where, the rule, and the value."""


class ConfigError(RecsysError):
    """A configuration is not valid; the message lists every problem with file and line."""


class DataError(RecsysError):
    """A data file is missing, unreadable, or does not hold what the configuration promised."""


class ExportError(RecsysError):
    """A bundle could not be written, or does not reproduce the scores of training."""


class EnvironmentError_(RecsysError):  # noqa: N801, N818 - the builtin has the name without underscore
    """The installed packages or devices cannot run this; the message says what to install."""
