"""Watching over the processes, and saying how it ended.

Not torch's elastic agent, which torchrun and torch's launchers are built on: when a process dies, it sends SIGTERM to
the others, which to a training means that it should save, as when the cluster needs the machine; here nothing can be
saved, for a checkpoint needs all ranks. And it ends with a page about itself in place of the reason.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from subprocess import Popen
from tempfile import TemporaryDirectory
from threading import Thread
from typing import NamedTuple

from rich.console import Console

from recsys.environment.worker import Failure, describe_exit
from recsys.errors import Preempted
from recsys.launch.workers import log_of, start_workers

__all__ = ["launch"]

GRACE_SECONDS = 6.0
"""In which the other ranks may end by themselves when one has failed; most find out why within 2 s."""

LOG_LINES = 20
"""Of a rank's log that are shown when it gave no reason."""

_FINE = (0, Preempted.EXIT_CODE)


class End(NamedTuple):
    """How a process ended."""

    rank: int
    code: int
    """As subprocess has it: -9 after SIGKILL."""
    by_us: bool = False
    """Whether it was killed here, since another had failed."""


class Verdict(NamedTuple):
    """How all of it ended."""

    code: int
    line: str | None = None
    """What is said of it; None: nothing."""
    shows_log_of: int | None = None
    """The rank whose last lines say more."""


def launch(arguments: list[str], devices: int, *, go_on: Callable[[int], str | None] = lambda _: None) -> int:
    """Run `recsys ARGUMENTS` as `devices` processes that form one training; none is left when this returns.

    When a process fails, all are over within seconds, and the last lines on stderr name its rank, the reason and the
    command to go on. SIGTERM and SIGINT are passed on to all processes. Call it in the main thread.

    Args:
        arguments: of each process; they find their rank in the environment, under torchrun's names.
        devices: processes to start.
        go_on: given the exit code, the command that goes on with the training; None if there is nothing to go on with.

    Returns:
        The exit code: 0; 2 if something was refused that the user can mend; 75 when all have ended after a SIGTERM;
        130 after Ctrl-C; 1 otherwise.
    """
    events: SimpleQueue[End | int] = SimpleQueue()
    with TemporaryDirectory(prefix="recsys-") as name, _signals_into(events):
        folder = Path(name)
        processes = start_workers(arguments, devices, folder)
        for rank, process in enumerate(processes):
            Thread(target=_report_end, args=(rank, process, events), daemon=True).start()
        try:
            ends, asked = wait_for_all(dict(enumerate(processes)), events)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        verdict = judge(ends, asked, _reason_in(folder))
        _say(verdict, folder, go_on)
    return verdict.code


def wait_for_all(
    alive: "dict[int, Popen[bytes]]", events: "SimpleQueue[End | int]"
) -> tuple[list[End], signal.Signals | None]:
    """Pass signals on and kill what does not follow a failure; return the ends, the first first, and the signal."""
    ends: list[End] = []
    asked: signal.Signals | None = None
    deadline: float | None = None
    killed: set[int] = set()
    while alive:
        try:
            event = events.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
        except Empty:
            killed = set(alive)
            deadline = None
            for process in alive.values():
                process.kill()
            continue
        if isinstance(event, End):
            del alive[event.rank]
            ends.append(event._replace(by_us=event.rank in killed))
            fatal = not is_fine(event, asked)
        else:
            fatal = event == signal.SIGINT
            asked = asked or signal.Signals(event)
            for process in alive.values():
                process.send_signal(event)
        if fatal and deadline is None and not killed:
            deadline = time.monotonic() + GRACE_SECONDS
    return ends, asked


def is_fine(end: End, asked: signal.Signals | None) -> bool:
    """Return whether the others may take their time: a rank is done, or has followed a SIGTERM.

    >>> is_fine(End(0, 75), None), is_fine(End(0, -15), signal.SIGTERM), is_fine(End(0, -15), None)
    (True, True, False)
    """
    return end.code in _FINE or (asked == signal.SIGTERM and end.code == -signal.SIGTERM)


def judge(ends: list[End], asked: signal.Signals | None, told: Failure | None) -> Verdict:
    """Return what came of it: of several ranks that failed, the one that gave a reason, else the first."""
    if asked == signal.SIGINT:
        return Verdict(130, "interrupted")
    codes = {end.code for end in ends}
    if told is not None and told.code != Preempted.EXIT_CODE:
        killed = [end for end in ends if end.rank == told.rank and end.code < 0 and not end.by_us]
        if killed:  # then others have told what they guess
            told = told._replace(reason=describe_exit(killed[0].code))
        return Verdict(told.code, str(told), None if told.code == 2 else told.rank)
    if Preempted.EXIT_CODE in codes or (all(is_fine(end, asked) for end in ends) and codes != {0}):
        return Verdict(Preempted.EXIT_CODE, "stopped by SIGTERM")
    failed = [end for end in ends if not is_fine(end, asked) and not end.by_us]
    if not failed:
        return Verdict(0)
    rank, code, _ = failed[0]
    return Verdict(code if code in (2, 130) else 1, f"error: rank {rank}: {describe_exit(code)}", rank)


def _say(verdict: Verdict, folder: Path, go_on: Callable[[int], str | None]) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if verdict.line is None:
        return
    console.show_cursor()  # a rank that was killed beneath its progress bar has left none
    if verdict.shows_log_of:
        _show_log(log_of(folder, verdict.shows_log_of), verdict.shows_log_of, console)
    command = go_on(verdict.code)
    if verdict.line.startswith("error: "):
        console.print(verdict.line, markup=False, style="red")
        if command is not None:
            console.print(f"to go on: {command}", markup=False)
    else:
        console.print(verdict.line if command is None else f"{verdict.line}; to go on: {command}", markup=False)


def _show_log(log: Path, rank: int, console: Console) -> None:
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    if lines:
        console.print(f"the last lines of rank {rank}:", markup=False)
    for line in lines:
        console.print(f"  {line}", markup=False)


def _reason_in(folder: Path) -> Failure | None:
    path = folder / "reason"
    return Failure.from_json(path.read_text()) if path.exists() else None


def _report_end(rank: int, process: "Popen[bytes]", events: "SimpleQueue[End | int]") -> None:
    events.put(End(rank, process.wait()))


@contextmanager
def _signals_into(events: "SimpleQueue[End | int]") -> Iterator[None]:
    """Put the numbers of SIGTERM and SIGINT into the queue, which unlike others may be used by a handler."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in former:
        signal.signal(number, lambda received, _frame: events.put(received))
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
