"""Starting the processes, with what each must know in its environment."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from recsys.environment.worker import LISTENER, REASON

__all__ = ["log_of", "start_workers"]

PROGRAM = (sys.executable, "-m", "recsys")
"""What each process runs."""

_PR_SET_PDEATHSIG = 1


def start_workers(arguments: list[str], devices: int, folder: Path) -> list["subprocess.Popen[bytes]"]:
    """Start `python -m recsys ARGUMENTS` once for each device, in the order of ranks.

    Rank 0 writes to the terminal, each other into its `log_of`. They are in process groups of their own, so that
    Ctrl-C reaches this process alone, and the system kills them when it dies.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        common = environment_of_all(devices, listener.getsockname()[1], folder)
        return [_start(arguments, rank, common, listener.fileno(), folder) for rank in range(devices)]


def environment_of_all(devices: int, port: int, folder: Path) -> dict[str, str]:
    """Return the variables that are the same for all ranks; what the user has set of the last four is kept."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    usual = {
        "OMP_NUM_THREADS": str(max(1, cores // devices)),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # else torch prints C++ stacks when a rank has gone
    }
    if sys.platform == "linux":
        usual["GLOO_SOCKET_IFNAME"] = "lo"  # all ranks are here: nothing needs to be reached from outside
    return {
        **usual,
        **os.environ,
        "WORLD_SIZE": str(devices),
        "LOCAL_WORLD_SIZE": str(devices),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        REASON: str(folder / "reason"),
    }


def log_of(folder: Path, rank: int) -> Path:
    """Return where a rank other than the first writes what it would print."""
    return folder / f"rank-{rank}.log"


def _start(
    arguments: list[str], rank: int, common: dict[str, str], listener: int, folder: Path
) -> "subprocess.Popen[bytes]":
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    options: dict[str, Any] = {"env": common | own, "stdin": subprocess.DEVNULL, "process_group": 0}
    if sys.platform == "linux":
        options["preexec_fn"] = _DieWithParent()
    command = [*PROGRAM, *arguments]
    if rank == 0:
        options["env"][LISTENER] = str(listener)
        return subprocess.Popen(command, pass_fds=[listener], **options)
    with log_of(folder, rank).open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, **options)


class _DieWithParent:
    """Run in the new process: ask the system to kill it when the thread that started it is gone."""

    def __init__(self) -> None:
        self.parent = os.getpid()
        self.prctl = ctypes.CDLL(None).prctl  # found here: after a fork, little is safe

    def __call__(self) -> None:
        self.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.parent:  # it died before the system was asked
            os._exit(1)
