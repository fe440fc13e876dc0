"""Processes that train cells, so that one which dies takes no other with it. Imports torch only in them."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recsys.launch.failure import describe_exit
from recsys.scheme_benchmark.result import cell_log

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from recsys.scheme_benchmark.cell import Job

__all__ = ["run_jobs"]


def run_jobs(
    jobs: "Sequence[Job]", *, processes: int, threads: int, ended: "Callable[[Job, str | None], None]"
) -> None:
    """Run all jobs; however this is left, no process stays behind.

    Args:
        jobs: in the order in which they are begun.
        processes: that work at a time.
        threads: of each.
        ended: told of each job when its result is written, or how its process died instead.
    """
    waiting = list(reversed(jobs))
    busy: dict[Connection, tuple[_Worker, Job]] = {}
    idle: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                worker = idle.pop() if idle else start_worker(threads)
                busy[worker.connection] = worker, waiting.pop()
                worker.connection.send(busy[worker.connection][1])
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker, job = busy.pop(connection)
                death = answer_of(worker)
                if death is None:
                    idle.append(worker)
                ended(job, death)
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.process.kill()  # at any moment: checkpoints and results appear whole or not at all
            worker.process.join()


class _Worker(NamedTuple):
    process: "SpawnProcess"
    connection: Connection


def start_worker(threads: int) -> _Worker:
    """Start a process that waits for jobs. It is spawned: torch's threads do not survive a fork."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there, threads), daemon=True)
    process.start()
    there.close()  # else the death of the process would go unnoticed
    return _Worker(process, here)


def answer_of(worker: _Worker) -> str | None:
    """Return how a worker died; None if it is ready for the next job."""
    try:
        worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        return describe_exit(worker.process.exitcode or 0)
    return None


def work(connection: Connection, threads: int) -> None:
    """Run jobs until there are no more; the first thing a worker does, before anything imports torch."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # torch.set_num_threads would not reach the threads of the kernels
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its workers
    warnings.filterwarnings("ignore")  # those of the packages below us, in the log of every cell
    threading.Thread(target=die_with_parent, daemon=True).start()
    from recsys.scheme_benchmark.cell import run_cell

    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        write_to(cell_log(job.folder, job.cell.name))
        run_cell(job)
        connection.send(job.cell.name)


def die_with_parent() -> None:
    """End this process when the one that started it is gone, so that none trains what another may begin again."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def write_to(path: Path) -> None:
    """Send everything that this process prints, and what kernels print as they crash, to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
