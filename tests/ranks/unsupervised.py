"""Processes of a training without a launcher: with the environment variables that torchrun sets, and nothing else."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from recsys.launch.torchrun import LISTENER

WORKER = Path(__file__).parents[1] / "launch" / "fake_worker.py"


class Ended(NamedTuple):
    code: int
    lines: list[str]


@contextmanager
def started(*workers: str, size: int | None = None) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start a process for each argument, such as "1:join,kill"; fake_worker.py knows the actions."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        processes = [start(list(workers), own, listener, size or len(workers)) for own in workers]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def start(workers: list[str], own: str, listener: socket.socket, size: int) -> "subprocess.Popen[str]":
    rank = own.partition(":")[0]
    ranks = {"RANK": rank, "WORLD_SIZE": str(size), "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": str(size)}
    rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(listener.getsockname()[1])}
    return subprocess.Popen(
        [sys.executable, str(WORKER), *workers],
        env={"TORCH_CPP_LOG_LEVEL": "FATAL", **os.environ, **ranks, **rendezvous, LISTENER: str(listener.fileno())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[listener.fileno()] if rank == "0" else [],
    )


def wait_for_pid(process: "subprocess.Popen[str]") -> None:
    """Wait for the line that the action "print-pid" writes."""
    assert process.stderr is not None
    assert "pid" in process.stderr.readline()


def wait_for_end(process: "subprocess.Popen[str]", within: float) -> Ended:
    since = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - since < within
    return Ended(process.returncode, err.splitlines())
