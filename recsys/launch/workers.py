"""Starting the worker processes, with what each must know in its environment."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from recsys.launch.failure import FAILURE_FILE
from recsys.launch.torchrun import LISTENER

__all__ = ["failure_path", "log_path", "start_workers"]

PROGRAM = (sys.executable, "-m", "recsys")
"""Program that each process runs."""

_PR_SET_PDEATHSIG = 1


def start_workers(argv: list[str], devices: int, folder: Path) -> list["subprocess.Popen[bytes]"]:
    """Start `python -m recsys ARGV` once for each device, in the order of ranks.

    Rank 0 writes to the terminal, each other into its `log_path`. They are in process groups of their own, so that
    Ctrl-C reaches this process alone, and the system kills them when it dies.

    Args:
        argv: arguments of each process.
        devices: number of processes.
        folder: temporary folder for logs and the reason of a failure.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        shared = worker_environment(devices, listener.getsockname()[1], folder)
        return [_start(argv, rank, shared, listener.fileno(), folder) for rank in range(devices)]


def worker_environment(devices: int, port: int, folder: Path) -> dict[str, str]:
    """Return the environment variables that are the same for all ranks.

    OMP_NUM_THREADS, TORCH_CPP_LOG_LEVEL and GLOO_SOCKET_IFNAME stay as the user has set them.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    defaults = {
        "OMP_NUM_THREADS": str(max(1, cores // devices)),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # else torch prints C++ stacks when a rank has gone
    }
    if sys.platform == "linux":
        defaults["GLOO_SOCKET_IFNAME"] = "lo"  # all ranks are on this host: no other network is needed
    return {
        **defaults,
        **os.environ,
        "WORLD_SIZE": str(devices),
        "LOCAL_WORLD_SIZE": str(devices),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        FAILURE_FILE: str(failure_path(folder)),
    }


def failure_path(folder: Path) -> Path:
    """Return the file to which the first rank that fails writes why."""
    return folder / "failure.json"


def log_path(folder: Path, rank: int) -> Path:
    """Return the file to which a rank other than the first prints."""
    return folder / f"rank-{rank}.log"


def _start(
    argv: list[str], rank: int, shared: dict[str, str], listener: int, folder: Path
) -> "subprocess.Popen[bytes]":
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    options: dict[str, Any] = {"env": shared | own, "stdin": subprocess.DEVNULL, "process_group": 0}
    if sys.platform == "linux":
        options["preexec_fn"] = _DieWithParent()
    command = [*PROGRAM, *argv]
    if rank == 0:
        options["env"][LISTENER] = str(listener)
        return subprocess.Popen(command, pass_fds=[listener], **options)
    with log_path(folder, rank).open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, **options)


class _DieWithParent:
    """Run in the new process: asks the system to kill it when the thread that started it is gone."""

    def __init__(self) -> None:
        self.parent = os.getpid()
        self.prctl = ctypes.CDLL(None).prctl  # looked up before the fork: little is safe after it

    def __call__(self) -> None:
        self.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.parent:  # it died before the system was asked
            os._exit(1)
