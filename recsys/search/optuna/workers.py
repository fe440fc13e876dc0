"""Processes that work on trials: what names one, and whether it is still there."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["is_gone", "this_worker"]


def this_worker() -> dict[str, Any]:
    """Return what tells this process from all others, on this host and on others."""
    return {"host": _host(), "process": os.getpid(), "started": _start_of(os.getpid())}


def is_gone(worker: Mapping[str, Any]) -> bool | None:
    """Say whether a process has ended; None if it is one of another host, of which nothing is known."""
    if worker["host"] != _host():
        return None
    started = _start_of(int(worker["process"]))
    return started is None or started != worker["started"]


def _host() -> str:
    """Return the name of this host, and of the container in which process numbers are counted."""
    space = ""
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()} {space}".strip()


def _start_of(process: int) -> str | None:
    """Return when a process was started, in ticks since the host was; None if there is no such process.

    Process numbers are used again, and a process that nobody has waited for (a zombie) has ended.
    """
    try:
        after_name = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
    except OSError:
        return None
    state, *fields = after_name.split()
    return None if state in "ZX" else fields[18]
