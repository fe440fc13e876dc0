"""Files and folders that appear under their name only when they are complete, whatever kills the process."""

import fcntl
import json
import math
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = [
    "atomic_folder",
    "atomic_path",
    "hidden_sibling",
    "replace_folder",
    "to_json",
    "with_nan",
    "write_atomic",
    "write_json",
]

_MIN_STALE_SECONDS = 60


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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = hidden_sibling(path, "tmp")
    _remove(temporary)
    try:
        yield temporary
        if temporary.exists():
            temporary.replace(path)
    finally:
        _remove(temporary)


def write_atomic(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
    """Yield an empty draft folder, and rename it to `folder` at the end of the block.

    If the block raises, the draft is removed and `folder` stays as it was. Several processes may write the same folder
    at a time: each has a draft of its own. Drafts of processes that were killed are removed by the next call.

    Args:
        folder: the final name; what it holds is replaced.
        is_complete: tells whether a folder of that name, which another process may have made meanwhile, is to be kept.
            Default: it is always replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale_drafts(folder.parent)
    draft = folder.parent / f".draft-{folder.name}-{uuid.uuid4().hex[:8]}"
    draft.mkdir()
    lock = draft / "lock"
    try:
        with lock.open("w") as held:
            with suppress(OSError):  # a file system without locks: stale drafts are then never removed
                fcntl.flock(held, fcntl.LOCK_EX)
            yield draft
            lock.unlink()
            _publish(draft, folder, is_complete)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def replace_folder(temporary: Path, folder: Path) -> None:
    """Rename a finished folder to `folder`; a former one is kept beside it (`.NAME.old`) until the new one is there."""
    former = hidden_sibling(folder, "old")
    if folder.exists():
        shutil.rmtree(former, ignore_errors=True)
        folder.rename(former)
    temporary.rename(folder)
    shutil.rmtree(former, ignore_errors=True)


def hidden_sibling(path: Path, suffix: str) -> Path:
    """Return the path of a hidden file or folder beside another.

    >>> hidden_sibling(Path("runs/a/metrics.json"), "tmp").name
    '.metrics.json.tmp'
    """
    return path.with_name(f".{path.name}.{suffix}")


def _publish(draft: Path, folder: Path, is_complete: Callable[[Path], bool] | None) -> None:
    try:
        draft.replace(folder)
    except OSError:  # a folder that is not empty lies there
        if is_complete is None or not is_complete(folder):
            replace_folder(draft, folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_stale_drafts(parent: Path) -> None:
    """Delete drafts whose process is gone: its lock went with it."""
    for lock in parent.glob(".draft-*/lock"):
        with suppress(OSError), lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - lock.stat().st_mtime > _MIN_STALE_SECONDS:  # a younger one may be about to take its lock
                shutil.rmtree(lock.parent, ignore_errors=True)
