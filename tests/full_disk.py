"""A small disk of its own that can be filled, so that a command runs out of room at a chosen moment."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["MANY_FILES", "PAGE", "Disk", "Room", "mounted_disk"]

PAGE = 4096
FILLER = "filler"
MANY_FILES = 500
"""Files that there is room for on a disk; folders are files too."""


class Room(NamedTuple):
    """What is free on a disk, or used of it."""

    bytes: int
    files: int


class Disk:
    """A mounted tmpfs.

    Args:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def used(self) -> Room:
        """Return what files take."""
        status = os.statvfs(self.path)
        return Room((status.f_blocks - status.f_bfree) * status.f_bsize, status.f_files - status.f_ffree)

    def leave(self, free: Room) -> None:
        """Fill the disk but for so much."""
        status = os.statvfs(self.path)
        filler = self.path / FILLER
        filler.mkdir()
        with (filler / "bytes").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(status.f_bavail * status.f_bsize - free.bytes, 1))
        for number in range(max(os.statvfs(self.path).f_ffree - free.files, 0)):
            (filler / str(number)).touch()

    def make_room(self) -> None:
        """Delete what filled it."""
        shutil.rmtree(self.path / FILLER)

    def forbid_writing(self) -> None:
        """Mount it anew, read-only."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True)

    def names(self) -> list[str]:
        """Return the paths of all files and folders, without what fills it."""
        return sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*") if FILLER not in path.parts)

    @contextmanager
    def watched(self) -> Iterator[list[Room]]:
        """Yield a list whose last entry is the most that was used during the block."""
        most = [self.used()]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.0005):
                most.append(Room(*map(max, zip(most[-1], self.used(), strict=True))))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield most
        finally:
            ended.set()
            thread.join()


@contextmanager
def mounted_disk(path: Path, size: int = 2**28) -> Iterator[Disk]:
    """Mount a disk for the time of a block; the test is skipped where that is not permitted."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes={MANY_FILES}", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no permission to mount a disk")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
