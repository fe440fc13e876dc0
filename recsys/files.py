"""Files and folders that appear under their name only when they are complete, whatever kills the process; locks.

What is written lies in a draft until it is complete: a hidden folder of a name of its own beside the target. Its
process holds a lock in it. The next one that writes there removes drafts whose process is gone.
"""

import ctypes
import errno
import fcntl
import json
import math
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recsys.errors import LockedError
from recsys.reasons import as_os_error

__all__ = [
    "DRAFT",
    "atomic_folder",
    "atomic_path",
    "draft",
    "hidden_sibling",
    "locked",
    "naming_errors",
    "replace_folder",
    "scratch_folder",
    "to_json",
    "with_nan",
    "write_atomic",
    "write_json",
    "write_together",
]

DRAFT = ".recsys-draft-"
"""Beginning of the names of drafts."""

_MIN_STALE_SECONDS = 60
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Yield a path beside `target`, on the same file system, at which nothing is; it is removed when the block ends.

    An error that the system raises in the block names `target`, and not the draft.
    """
    with naming_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale_drafts(target.parent)
        folder = target.parent / f"{DRAFT}{uuid.uuid4().hex[:12]}"
        try:
            folder.mkdir()
            with (folder / "lock").open("w") as lock:
                with suppress(OSError):  # a file system without locks: stale drafts are then never removed
                    fcntl.flock(lock, fcntl.LOCK_EX)
                yield folder / "new"
        except OSError as error:
            names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
            if any(Path(name).is_relative_to(folder) for name in names):
                raise OSError(error.errno, error.strerror, str(target)) from error
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` at the end of the block.

    Write a file, or make a folder, at the temporary path. If the block raises, what was written is removed and `path`
    stays as it was. A block that writes nothing leaves nothing.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "scores.txt"
        >>> with atomic_path(path) as temporary:
        ...     _ = temporary.write_text("0.25")
        >>> [found.name for found in path.parent.iterdir()]
        ['scores.txt']
    """
    with draft(path) as temporary:
        yield temporary
        if temporary.exists():
            temporary.replace(path)


def write_atomic(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_together(texts: Mapping[Path, str]) -> None:
    """Write several text files in UTF-8: none appears under its name before all are complete, and the first one last.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_together({folder / "report.html": "<p>", folder / "slices.csv": "a,b"})
        >>> sorted(found.name for found in folder.iterdir())
        ['report.html', 'slices.csv']
    """
    with ExitStack() as drafts:
        for path, text in texts.items():
            drafts.enter_context(atomic_path(path)).write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, *, indent: int = 2) -> None:
    """Write an object as an indented JSON file, whole or not at all; NaN, which JSON has not, is null."""
    write_atomic(path, to_json(content, indent=indent) + "\n")


def to_json(content: Any, *, indent: int | None = None) -> str:
    """Return an object as JSON, with null for NaN.

    >>> to_json({"auc": float("nan"), "rows": 3.0})
    '{"auc": null, "rows": 3.0}'
    """
    return json.dumps(_without_nan(content), indent=indent)


def with_nan(figures: Mapping[str, float | None]) -> dict[str, float]:
    """Return figures that were read from JSON with NaN in place of null.

    >>> with_nan({"auc": None, "rows": 3.0})
    {'auc': nan, 'rows': 3.0}
    """
    return {name: math.nan if value is None else value for name, value in figures.items()}


def _without_nan(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


@contextmanager
def atomic_folder(folder: Path, *, is_complete: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield an empty temporary folder, and rename it to `folder` at the end of the block.

    If the block raises, what was written is removed and `folder` stays as it was. Several processes may write the same
    folder at a time: there is one at any moment, and in the end that of the last one.

    Args:
        folder: the final name; what it holds is replaced.
        is_complete: tells whether a folder of that name, which another process may have made meanwhile, is to be kept.
            Default: it is always replaced.
    """
    folder = folder.resolve() if folder.is_symlink() else folder
    with draft(folder) as new:
        new.mkdir()
        yield new
        try:
            new.replace(folder)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise
            if is_complete is None or not is_complete(folder):
                replace_folder(new, folder, former=new.parent / "former" / folder.name)


def replace_folder(new: Path, folder: Path, *, former: Path | None = None) -> None:
    """Rename a finished folder to `folder` and delete what was there, in one step where the file system can.

    Args:
        new: the finished folder.
        folder: its name.
        former: where the folder that was there lies for a moment if it takes two steps. Default: `.NAME.old`.
    """
    if not new.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(new))
    former = former or hidden_sibling(folder, "old")
    if _exchange(new, folder):
        shutil.rmtree(new, ignore_errors=True)
    else:
        _replace_in_two_steps(new, folder, former)
    shutil.rmtree(former, ignore_errors=True)  # also that of a process that was killed between two steps


def _replace_in_two_steps(new: Path, folder: Path, former: Path) -> None:
    try:
        while not _renamed(new, folder):
            shutil.rmtree(former, ignore_errors=True)
            former.parent.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):  # another process is between its two steps
                folder.rename(former)
    except BaseException:
        if former.exists():
            _renamed(former, folder)
        raise


def hidden_sibling(path: Path, suffix: str) -> Path:
    """Return the path of a hidden file or folder beside another.

    >>> hidden_sibling(Path("runs/a/metrics.json"), "tmp").name
    '.metrics.json.tmp'
    """
    return path.with_name(f".{path.name}.{suffix}")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder where the system has temporary files (TMPDIR); it is removed when the block ends."""
    with TemporaryDirectory(prefix="recsys-") as name, naming_errors(Path(name)):
        yield Path(name)


@contextmanager
def naming_errors(path: Path) -> Iterator[None]:
    """Give the name of a path to what the system refuses in the block, also to what libraries make of it."""
    try:
        yield
    except Exception as error:
        refused = as_os_error(error)
        if refused is None or refused.errno is None or refused.filename is not None:  # without errno: a broken package
            raise
        raise OSError(refused.errno, refused.strerror, str(path)) from error


@contextmanager
def locked(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock for the time of the block; the system releases it when this process is gone, on NFS too.

    Args:
        path: the file of the lock, which is there while it is held.
        refusal: beginning of the message, such as "runs/a: is being trained".

    Raises:
        LockedError: another process holds it; the message says which.
    """
    with ExitStack() as held:
        with naming_errors(path):
            file = held.enter_context(_locked_file(path, refusal))
            held.callback(path.unlink, missing_ok=True)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%F %T %Z')}\n".encode())
        yield


def _locked_file(path: Path, refusal: str) -> FileIO:
    """Open and lock a file, anew if who held the lock has deleted the file meanwhile."""
    while True:
        with ExitStack() as opened:
            file = opened.enter_context(path.open("a+b", buffering=0))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                file.seek(0)
                raise LockedError(f"{refusal} by {file.read().decode().strip() or 'another process'}") from None
            except OSError:
                pass  # a file system without locks
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    opened.pop_all()
                    return file


def _renamed(new: Path, folder: Path) -> bool:
    """Rename a folder; return False if there is one that is not empty."""
    try:
        new.rename(folder)
    except OSError as error:
        if error.errno not in _NOT_EMPTY:
            raise
        return False
    return True


def _exchange(first: Path, second: Path) -> bool:
    """Let two folders swap their names in one step; return False where that cannot be done, as on NFS."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


def _remove_stale_drafts(parent: Path) -> None:
    """Delete drafts whose process is gone: its lock went with it. A folder that it was about to replace is put back."""
    for lock in parent.glob(f"{DRAFT}*/lock"):
        with suppress(OSError), lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - lock.stat().st_mtime <= _MIN_STALE_SECONDS:  # a younger one may be about to take its lock
                continue
            for former in lock.parent.glob("former/*"):
                _renamed(former, parent / former.name)
            shutil.rmtree(lock.parent, ignore_errors=True)
