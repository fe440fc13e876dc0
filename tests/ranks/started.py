"""Processes with the environment that torchrun gives, and nobody who watches over them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from recsys.environment.worker import LISTENER

WORKER = Path(__file__).parents[1] / "launch" / "worker.py"


class Ended(NamedTuple):
    code: int
    lines: list[str]


@contextmanager
def started(*workers: str, size: int | None = None) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start a process for each word; see worker.py for what they do."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        processes = [start(list(workers), word, listener, size or len(workers)) for word in workers]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def start(words: list[str], own: str, listener: socket.socket, size: int) -> "subprocess.Popen[str]":
    rank = own.partition(":")[0]
    place = {"RANK": rank, "WORLD_SIZE": str(size), "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": str(size)}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(listener.getsockname()[1])}
    return subprocess.Popen(
        [sys.executable, str(WORKER), *words],
        env={"TORCH_CPP_LOG_LEVEL": "FATAL", **os.environ, **place, **meeting, LISTENER: str(listener.fileno())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[listener.fileno()] if rank == "0" else [],
    )


def said(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stderr is not None
    assert words in process.stderr.readline()


def ended(process: "subprocess.Popen[str]", within: float) -> Ended:
    since = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - since < within
    return Ended(process.returncode, err.splitlines())
