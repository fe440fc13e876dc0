"""Worker processes that train cells, so that the death of one cell ends no other. Only workers import torch."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recsys.errors import RecsysError
from recsys.files import naming_errors
from recsys.launch.failure import describe_exit
from recsys.reasons import user_message
from recsys.scheme_benchmark.result import cell_log

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from recsys.scheme_benchmark.cell import Job

__all__ = ["run_jobs"]


def run_jobs(
    jobs: "Sequence[Job]", *, processes: int, threads: int, on_end: "Callable[[Job, str | None], None]"
) -> None:
    """Run all jobs; no process is left when this returns or raises.

    Args:
        jobs: the cells, in the order in which they are started.
        processes: number of workers.
        threads: number of threads of each worker.
        on_end: called for each job with None when its result is written, or with how its process died.

    Raises:
        RecsysError: the system has refused something to a job, such as room on the disk.
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
                death = wait_for_answer(worker)
                if death is None:
                    idle.append(worker)
                on_end(job, death)
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.process.kill()  # allowed at any moment: checkpoints and results are written atomically
            worker.process.join()


class _Worker(NamedTuple):
    process: "SpawnProcess"
    connection: Connection


def start_worker(threads: int) -> _Worker:
    """Start a process that waits for jobs; it is spawned, because torch's threads do not survive a fork."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run_worker, args=(there, threads), daemon=True)
    process.start()
    there.close()  # else the connection would not break when the process dies
    return _Worker(process, here)


def wait_for_answer(worker: _Worker) -> str | None:
    """Wait until a worker has done its job; return None, or how it died.

    Raises:
        RecsysError: the system has refused something to it.
    """
    try:
        refusal = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        return describe_exit(worker.process.exitcode or 0)
    if refusal is not None:
        raise RecsysError(refusal)
    return None


def run_worker(connection: Connection, threads: int) -> None:
    """Run jobs until the connection closes; this is the first code of a worker, before anything imports torch."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # torch.set_num_threads would not reach the threads of the kernels
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its workers
    warnings.filterwarnings("ignore")  # those of other packages, which would fill the log of every cell
    threading.Thread(target=exit_with_parent, daemon=True).start()
    from recsys.scheme_benchmark.cell import run_cell

    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(refusal_of(job, run_cell))


def refusal_of(job: "Job", work: "Callable[[Job], None]") -> str | None:
    """Do the work of a job, all output in its log; return what the system has refused, None if nothing."""
    log = cell_log(job.folder, job.cell.name)
    try:
        with naming_errors(log):
            redirect_output(log)
            work(job)
    except OSError as error:
        return user_message(error) or str(error)
    return None


def exit_with_parent() -> None:
    """Exit when the parent process is gone, so that no orphan trains a cell that a later call starts again."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def redirect_output(path: Path) -> None:
    """Redirect everything that this process prints to a file, also what kernels print as they crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
