"""Processes of a training whose ranks do what a test says, under a launcher."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

LAUNCHER = Path(__file__).with_name("launch_fake_workers.py")


class Ended(NamedTuple):
    code: int
    lines: list[str]
    """Of stderr."""
    seconds: float


@contextmanager
def launched(*workers: str) -> Iterator["subprocess.Popen[str]"]:
    """Yield a launcher whose ranks do what fake_worker.py knows, e.g. "1:join,kill"."""
    process = subprocess.Popen([sys.executable, str(LAUNCHER), *workers], stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_end(process: "subprocess.Popen[str]", since: float) -> Ended:
    _, err = process.communicate(timeout=60)
    return Ended(process.returncode, err.splitlines(), time.monotonic() - since)


def run_fake_workers(*workers: str) -> Ended:
    since = time.monotonic()
    with launched(*workers) as process:
        return wait_for_end(process, since)


def read_pid(process: "subprocess.Popen[str]") -> int:
    """Wait for the line that "print-pid" writes."""
    assert process.stderr is not None
    found = re.fullmatch(r"pid (\d+)\n", process.stderr.readline())
    assert found
    return int(found[1])


def is_running(pid: int) -> bool:
    """Return whether a process runs, and is no zombie."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
