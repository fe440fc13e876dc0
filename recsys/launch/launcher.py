"""Supervising the worker processes of one training, and reporting how it ended.

torch's elastic agent, on which torchrun is built, is not used. When a process dies, it sends SIGTERM to the others,
which to a training means that it should save, as when a cluster needs the machine; but nothing can be saved, for a
checkpoint needs all ranks. And it ends with a page about itself in place of the reason.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from subprocess import Popen
from threading import Thread
from typing import NamedTuple

from recsys.console import console, log
from recsys.errors import Preempted
from recsys.files import scratch_folder
from recsys.launch.failure import Failure, describe_exit
from recsys.launch.workers import failure_path, log_path, start_workers

__all__ = ["Outcome", "launch"]

GRACE_SECONDS = 6.0
"""Time for the other ranks to exit by themselves after one has failed; most find out why within 2 s."""

LOG_LINES = 20
"""Lines of a rank's log that are shown when it gave no reason."""

_EXPECTED_CODES = (0, Preempted.EXIT_CODE)


class WorkerExit(NamedTuple):
    """The end of one worker process."""

    rank: int
    code: int
    """Return code as in `subprocess`: -9 after SIGKILL."""
    killed_by_launcher: bool = False
    """Whether it was killed here, because another one had failed."""


class Outcome(NamedTuple):
    """The end of the whole training."""

    code: int
    """Exit code of the launcher."""
    message: str | None = None
    """Message that is printed; None: nothing."""
    show_log_of: int | None = None
    """The rank whose last log lines explain it."""


def launch(argv: list[str], devices: int, *, resume_command: Callable[[int], str | None] = lambda _: None) -> Outcome:
    """Run `recsys ARGV` in `devices` processes that form one training; none is left when this returns.

    When a process fails, all are over within seconds, and the last lines on stderr name its rank, the reason and the
    command to resume. SIGTERM and SIGINT are passed on to all processes. Call it in the main thread.

    Args:
        argv: arguments of each process; they find their rank in the environment, under torchrun's names.
        devices: number of processes.
        resume_command: given the exit code, returns the command that resumes the training, None if there is nothing to
            resume.

    Returns:
        How it ended, and with which exit code: 0; 2 if something was refused that the user can fix; 75 when all have
        ended after a SIGTERM; 130 after Ctrl-C; 1 otherwise.
    """
    events: SimpleQueue[WorkerExit | int] = SimpleQueue()
    with scratch_folder() as folder, _signals_into(events):
        processes = start_workers(argv, devices, folder)
        for rank, process in enumerate(processes):
            Thread(target=_report_exit, args=(rank, process, events), daemon=True).start()
        try:
            exits, received = supervise(dict(enumerate(processes)), events)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        outcome = find_outcome(exits, received, _read_failure(folder))
        _print_outcome(outcome, folder, resume_command)
    return outcome


def supervise(
    running: "dict[int, Popen[bytes]]", events: "SimpleQueue[WorkerExit | int]"
) -> tuple[list[WorkerExit], signal.Signals | None]:
    """Wait for all processes: pass signals on, and kill those that outlive a failed one by `GRACE_SECONDS`.

    Args:
        running: processes by rank.
        events: exits of these processes, and the numbers of signals that this process receives.

    Returns:
        The exits in the order in which they happened, and the first signal that was received.
    """
    exits: list[WorkerExit] = []
    received: signal.Signals | None = None
    deadline: float | None = None
    killed: set[int] = set()
    while running:
        try:
            event = events.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
        except Empty:
            killed = set(running)
            deadline = None
            for process in running.values():
                process.kill()
            continue
        if isinstance(event, WorkerExit):
            del running[event.rank]
            exits.append(event._replace(killed_by_launcher=event.rank in killed))
            fatal = not is_expected(event, received)
        else:
            fatal = event == signal.SIGINT
            received = received or signal.Signals(event)
            for process in running.values():
                process.send_signal(event)
        if fatal and deadline is None and not killed:
            deadline = time.monotonic() + GRACE_SECONDS
    return exits, received


def is_expected(exited: WorkerExit, received: signal.Signals | None) -> bool:
    """Return whether the other ranks may take their time: this one is done, or has followed a SIGTERM.

    >>> is_expected(WorkerExit(0, 75), None), is_expected(WorkerExit(0, -15), signal.SIGTERM)
    (True, True)
    >>> is_expected(WorkerExit(0, -15), None)
    False
    """
    return exited.code in _EXPECTED_CODES or (received == signal.SIGTERM and exited.code == -signal.SIGTERM)


def find_outcome(exits: list[WorkerExit], received: signal.Signals | None, reported: Failure | None) -> Outcome:
    """Return how a training ended.

    Args:
        exits: of all ranks, in the order in which they happened.
        received: the signal that the launcher received, if any.
        reported: the failure that a rank wrote; it is more telling than exit codes.
    """
    if received == signal.SIGINT:
        return Outcome(130, "interrupted")
    codes = {exited.code for exited in exits}
    if reported is not None and reported.code != Preempted.EXIT_CODE:
        killed = [one for one in exits if one.rank == reported.rank and one.code < 0 and not one.killed_by_launcher]
        if killed:  # another rank reported what it guessed
            reported = reported._replace(reason=describe_exit(killed[0].code))
        return Outcome(reported.code, str(reported), None if reported.code == 2 else reported.rank)
    if Preempted.EXIT_CODE in codes or (all(is_expected(one, received) for one in exits) and codes != {0}):
        return Outcome(Preempted.EXIT_CODE, "stopped by SIGTERM")
    failed = [one for one in exits if not is_expected(one, received) and not one.killed_by_launcher]
    if not failed:
        return Outcome(0)
    rank, code, _ = failed[0]
    return Outcome(code if code in (2, 130) else 1, f"error: rank {rank}: {describe_exit(code)}", rank)


def _print_outcome(outcome: Outcome, folder: Path, resume_command: Callable[[int], str | None]) -> None:
    if outcome.message is None:
        return
    console.show_cursor()  # a rank that was killed beneath its progress bar has hidden it
    if outcome.show_log_of:
        _print_log(log_path(folder, outcome.show_log_of), outcome.show_log_of)
    command = resume_command(outcome.code)
    if outcome.message.startswith("error: "):
        log(outcome.message, style="red")
        if command is not None:
            log(f"to resume: {command}")
    else:
        log(outcome.message if command is None else f"{outcome.message}; to resume: {command}")


def _print_log(path: Path, rank: int) -> None:
    lines = path.read_text(errors="replace").splitlines()[-LOG_LINES:]
    if lines:
        log(f"the last lines of rank {rank}:")
    for line in lines:
        log(f"  {line}")


def _read_failure(folder: Path) -> Failure | None:
    path = failure_path(folder)
    return Failure.from_json(path.read_text()) if path.exists() else None


def _report_exit(rank: int, process: "Popen[bytes]", events: "SimpleQueue[WorkerExit | int]") -> None:
    events.put(WorkerExit(rank, process.wait()))


@contextmanager
def _signals_into(events: "SimpleQueue[WorkerExit | int]") -> Iterator[None]:
    """Put the numbers of SIGTERM and SIGINT into the queue; a `SimpleQueue` may be used by a signal handler."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in former:
        signal.signal(number, lambda received, _frame: events.put(received))
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
