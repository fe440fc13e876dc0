"""Folders that appear whole or not at all, under a name that says what they hold."""

import fcntl
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recsys.data.prepared import read_manifest

__all__ = ["published"]

_YOUNG_SECONDS = 60


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write to; it becomes `folder` if the block ends well and disappears otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    draft = folder.parent / f".draft-{folder.name}-{uuid.uuid4().hex[:8]}"
    draft.mkdir()
    lock = draft / "lock"
    try:
        with lock.open("w") as held:
            with suppress(OSError):  # a file system without locks: drafts are then never swept
                fcntl.flock(held, fcntl.LOCK_EX)
            yield draft
            lock.unlink()
            _rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _rename(draft: Path, folder: Path) -> None:
    try:
        draft.replace(folder)
    except OSError:  # another process was faster, or a damaged folder lies there
        if read_manifest(folder) is None:
            shutil.rmtree(folder)
            draft.replace(folder)


def _sweep(cache_dir: Path) -> None:
    """Delete drafts whose process is gone: its lock went with it."""
    for lock in cache_dir.glob(".draft-*/lock"):
        with suppress(OSError), lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - lock.stat().st_mtime > _YOUNG_SECONDS:  # younger ones may be about to take their lock
                shutil.rmtree(lock.parent, ignore_errors=True)
