"""Messages for errors that are the user's to mend, those that the system and libraries raise among them.

Libraries wrap what the system refuses into errors of their own: polars into a `ComputeError`, pyarrow into an `OSError`
without a file name, numpy into one without a number, torch into a `RuntimeError`.
"""

import errno
import os
import re
import shutil
import traceback
from contextlib import suppress
from pathlib import Path

from recsys.errors import RecsysError

__all__ = ["as_os_error", "broken_package", "user_message"]

_NUMBER = re.compile(r"(?:\berrno|\bos error) (\d+)", re.IGNORECASE)
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_OF_DATA_LIBRARIES = ("polars", "pyarrow")
_OF_TORCH_WRITER = ("inline_container", "PytorchStreamWriter")

_REQUIRED = frozenset(
    {
        *("fbgemm_gpu", "lightning", "numpy", "polars", "polars_hash", "pyarrow", "pydantic", "pydantic_core"),
        *("pyre_extensions", "rich", "ruamel", "tensordict", "torch", "torchmetrics", "torchrec", "tqdm", "typer"),
    }
)
"""Packages that recsys does not work without, by the names of their modules."""

_NO_OPERATOR = re.compile(
    r"'_OpNamespace' 'fbgemm'|\bfbgemm::\w+ does not exist|No such operator fbgemm::|Could not run 'fbgemm::"
)
"""What torch says of an operator that fbgemm lacks, or lacks for a device."""

_NO_MORE_FILES = os.strerror(errno.EMFILE)
"""What any library says, as it opens a socket or is imported, when the limit of open files is reached."""

_NOT_THE_DISK = (BlockingIOError, ChildProcessError, ConnectionError, InterruptedError, ProcessLookupError)
"""What the system refuses to a program with a fault, or to one whose peer is gone."""

_REMEDIES = {
    errno.EDQUOT: "the quota is used up",
    errno.EMFILE: "raise the limit of open files with `ulimit -n`",
    errno.ENFILE: "the system has no more open files to give",
    errno.ENAMETOOLONG: "a name can have 255 bytes, a path 4,095",
    errno.EROFS: "it is mounted read-only",
}


def user_message(error: BaseException) -> str | None:
    """Return what to tell the user if an error is theirs to mend, None if it is a fault of the program."""
    if isinstance(error, RecsysError):
        return str(error)
    refused = as_os_error(error)
    broken = broken_package(error)
    if broken is not None and (refused is None or refused.errno != errno.EMFILE):
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"{broken} does not work as it is installed: {first}; `recsys doctor` says what to install"
    if refused is None or (isinstance(refused, _NOT_THE_DISK) and not isinstance(refused, BrokenPipeError)):
        return None
    path = refused.filename if refused.filename2 is None else refused.filename2  # of a copy, where it is written to
    where = "" if path is None else f"{os.fsdecode(path)}: "
    remedy = _remedy(refused)
    return f"{where}cannot be read or written: {refused.strerror or refused}{remedy and f'; {remedy}'}"


def broken_package(error: BaseException) -> str | None:
    """Return the package below us that is not installed, fails as it is imported, or lacks an operator.

    >>> broken_package(ModuleNotFoundError("No module named 'fbgemm_gpu'", name="fbgemm_gpu"))
    'fbgemm_gpu'
    """
    if isinstance(error, ImportError) and _is_required(error.name):
        return _package(error.name)
    if isinstance(error, AttributeError | RuntimeError) and _NO_OPERATOR.search(str(error)):
        return "fbgemm_gpu"
    imported = [
        frame.f_globals.get("__name__")
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_name == "<module>"
    ]
    failing = [_package(name) for name in imported if _is_required(name)]
    return failing[-1] if failing else None


def _is_required(module: str | None) -> bool:
    return module is not None and _package(module) in _REQUIRED


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0]


def as_os_error(error: BaseException) -> OSError | None:
    """Return what the system has refused, with its number where the error tells it; None for any other error.

    >>> as_os_error(OSError("No space left on device (os error 28)")).strerror
    'No space left on device'
    """
    if isinstance(error, OSError):
        return error if error.filename is not None else _numbered(error)
    if type(error).__module__.partition(".")[0] in _OF_DATA_LIBRARIES and _NUMBER.search(str(error)):
        return _numbered(error)
    if isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OF_TORCH_WRITER):
        return error.__context__ if isinstance(error.__context__, OSError) else OSError(errno.EIO, str(error))
    if isinstance(error, ImportError | RuntimeError) and _NO_MORE_FILES in str(error):
        return OSError(errno.EMFILE, _NO_MORE_FILES)
    return None


def _numbered(error: BaseException) -> OSError:
    """Return an error with the number that stands in the text, and the system's words for it."""
    number = error.errno if isinstance(error, OSError) else None
    found = _NUMBER.search(str(error))
    if number is None and found is not None:
        number = int(found[1])
    if number is None and _SHORT_WRITE.fullmatch(str(error)):
        number = errno.ENOSPC  # numpy says no more than that less was written
    return OSError(number, str(error) if number is None else os.strerror(number))


def _remedy(refused: OSError) -> str:
    if refused.errno == errno.ENOSPC and refused.filename is not None:
        return _free_space(Path(os.fsdecode(refused.filename)))
    return _REMEDIES.get(refused.errno or 0, "")


def _free_space(path: Path) -> str:
    """Say how much room there is where a path lies."""
    for folder in path.absolute().parents:
        with suppress(OSError):
            usage = shutil.disk_usage(folder)
            return f"of the {usage.total:,} bytes of its disk {usage.free:,} are free"
    return ""
