"""Heartbeats, so that no rank waits for one that is gone.

A collective waits for a lost rank: with gloo until its connection breaks, with NCCL forever. So each rank has a thread
that writes a heartbeat into the store at which the ranks met, and polls those of the others. A rank that fails writes
why; a rank that finds this, or finds another silent for too long, ends its process, whatever its main thread does.

Silence is counted in polls, not in seconds: when a host was suspended, all clocks jump and no rank is dead. A rank is
given up after 15 polls, one a second, since a kernel that holds Python's lock stops the thread with all others. All
ranks have then ended after 16 to 23 s. A rank that raises ends the others within 2 s; one that is killed under
`recsys train --devices` ends them within 6 s.
"""

import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import NoReturn

from torch import distributed
from torch._C._distributed_c10d import Store

from recsys.errors import Preempted
from recsys.launch.failure import Failure, report_to_launcher
from recsys.ranks.world import World
from recsys.reasons import user_message

__all__ = ["POLL_SECONDS", "HeartbeatMonitor", "is_peer_loss", "write_first_heartbeat"]

POLL_SECONDS = 1.0
MAX_SILENT_POLLS = 15

LOSS_SECONDS = 4.5
"""Time in which the reason why a connection broke may become known."""

LINGER_SECONDS = 4.0
"""Time that rank 0, which has the store, lets the others read it before it ends."""

PEER_LOST = "has ended without a message, as when memory runs out and the system kills a process, or its host is lost"

_STOPPED_HEARTBEATS = {f"ended {code}".encode(): code for code in (Preempted.EXIT_CODE, 130)}

_MESSAGES_OF_LOSS = ("gloo", "Connection closed", "Connection reset", "Broken pipe", "NCCL", "remote process exited")


class HeartbeatMonitor:
    """Writes this rank's heartbeat and polls those of the others, in threads of its own.

    Args:
        store: a connection to the store of all ranks that nobody else uses.
        world: of this process.
        poll_seconds: time between two polls.
        max_silent_polls: polls without a new heartbeat after which a rank is given up.
    """

    def __init__(
        self,
        store: Store,
        world: World,
        *,
        poll_seconds: float = POLL_SECONDS,
        max_silent_polls: int = MAX_SILENT_POLLS,
    ) -> None:
        self._store = store
        self._world = world
        self._poll_seconds = poll_seconds
        self._limit = max_silent_polls
        self._heartbeats = [b""] * world.size
        self._silent_polls = [0] * world.size
        self._polls = 0
        self._own: Failure | None = None
        self._published = Event()
        self._wake = Event()
        self._closing: int | None = None
        self._closed = Event()
        self._ending = Lock()
        self._store_is_gone = False
        self._threads = [
            Thread(target=run, name="heartbeat", daemon=True) for run in (self._run, self._run_store_check)
        ]

    def start(self) -> None:
        """Start the threads; every rank must have called `write_first_heartbeat` before any rank does this."""
        for thread in self._threads:
            thread.start()

    def close(self, code: int = 0) -> None:
        """Stop the threads: this rank ends as planned, and is not given up. Rank 0 waits for others that end too.

        Args:
            code: exit code of this process: 0, 75 after SIGTERM or 130 after Ctrl-C.
        """
        self._closing = code
        self._closed.set()
        self._wake.set()
        self._threads[0].join(timeout=2 * LINGER_SECONDS)

    def abort(self, error: BaseException) -> NoReturn:
        """End this process because of an error, and all others with the same reason.

        An error that the user can fix is reported without a traceback. If the error says only that another rank is
        gone, the method first waits a while for the reason of that rank.
        """
        problem = user_message(error)
        if problem is not None:
            failure = Failure(self._world.rank, problem, 2)
        else:
            failure = (self._wait_for_reason() if is_peer_loss(error) else None) or self._print_traceback(error)
        self._own = failure
        self._wake.set()
        self._published.wait(LINGER_SECONDS)
        self._end(failure)

    def _print_traceback(self, error: BaseException) -> Failure:
        traceback.print_exception(error)
        return Failure(self._world.rank, "".join(traceback.format_exception_only(error)).strip(), 1)

    def _wait_for_reason(self) -> Failure | None:
        """Wait until the thread ends this process with the reason; return a guess if it does not, None without one."""
        deadline = time.monotonic() + LOSS_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if self._store_is_gone:
                return Failure(0, PEER_LOST, 1)
            for rank, heartbeat in enumerate(self._heartbeats):
                if heartbeat in _STOPPED_HEARTBEATS:
                    return Failure(rank, "was stopped", _STOPPED_HEARTBEATS[heartbeat])
        silent = [rank for rank, polls in enumerate(self._silent_polls) if polls >= 3 and rank != self._world.rank]
        return Failure(silent[0], PEER_LOST, 1) if silent else None

    def _run(self) -> None:
        try:
            while self._closing is None:
                self._poll()
                self._wake.wait(self._poll_seconds)
                self._wake.clear()
            self._store.set(f"heartbeat/{self._world.rank}", f"ended {self._closing}")
            self._linger()
        except RuntimeError:  # of any kind: the store has gone, and with it rank 0
            self._store_is_gone = True
            self._published.set()
            if not self._closed.wait(LINGER_SECONDS):
                self._end(Failure(0, PEER_LOST, 1), store_answers=False)

    def _poll(self) -> None:
        self._polls += 1
        self._store.set(f"heartbeat/{self._world.rank}", str(self._polls))
        if self._own is not None:
            self._store.compare_set("failure", "", self._own.to_json())  # the first one stays
        if self._store.check(["failure"]):
            self._published.set()
            if self._own is None:
                self._end(Failure.from_json(self._store.get("failure")))
        heartbeats = self._read_heartbeats()
        for rank, (heartbeat, before) in enumerate(zip(heartbeats, self._heartbeats, strict=True)):
            self._silent_polls[rank] = self._silent_polls[rank] + 1 if heartbeat == before else 0
            if self._silent_polls[rank] >= self._limit and heartbeat != b"ended 0":
                failure = self._describe_silence(rank, heartbeat)
                self._store.compare_set("failure", "", failure.to_json())
                self._end(failure)
        self._heartbeats = heartbeats

    def _describe_silence(self, rank: int, heartbeat: bytes = b"") -> Failure:
        if heartbeat in _STOPPED_HEARTBEATS:
            return Failure(rank, "was stopped", _STOPPED_HEARTBEATS[heartbeat])
        seconds = self._limit * self._poll_seconds
        return Failure(rank, f"no heartbeat for {seconds:.0f} s: its host is lost, or the process is frozen", 1)

    def _run_store_check(self) -> None:
        """End the process when the polling thread hangs: a store whose process is frozen does not answer."""
        polls, stuck = 0, 0
        while not self._closed.wait(self._poll_seconds):
            stuck = stuck + 1 if self._polls == polls else 0
            polls = self._polls
            if stuck >= self._limit:
                self._end(self._describe_silence(0), store_answers=False)

    def _read_heartbeats(self) -> list[bytes]:
        heartbeats: list[bytes] = self._store.multi_get([f"heartbeat/{rank}" for rank in range(self._world.size)])
        return heartbeats

    def _linger(self, lost: int | None = None) -> None:
        """On rank 0, whose process may have the store: let the others read it first."""
        deadline = time.monotonic() + LINGER_SECONDS
        while self._world.is_rank_zero and time.monotonic() < deadline:
            heartbeats = enumerate(self._read_heartbeats())
            if all(heartbeat.startswith(b"ended") for rank, heartbeat in heartbeats if rank not in (0, lost)):
                return
            time.sleep(0.02)

    def _end(self, failure: Failure, *, store_answers: bool = True) -> NoReturn:
        """End this process; rank 0 prints why, unless a launcher does."""
        self._ending.acquire()  # for good: another thread may have found a reason too
        with suppress(Exception):  # whatever it is, the process must end
            if not report_to_launcher(failure) and self._world.is_rank_zero:
                print(failure, file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            if store_answers:
                self._store.set(f"heartbeat/{self._world.rank}", f"ended {failure.code}")
                self._linger(lost=failure.rank)
        os._exit(failure.code)


def write_first_heartbeat(store: Store, rank: int) -> None:
    """Write the first heartbeat of a rank into the store."""
    store.set(f"heartbeat/{rank}", "0")


def is_peer_loss(error: BaseException) -> bool:
    """Return whether an error says no more than that another rank does not answer.

    >>> is_peer_loss(RuntimeError("[gloo/transport/tcp/pair.cc:554] Connection closed by peer [127.0.0.1]:1234"))
    True
    >>> is_peer_loss(ValueError("x"))
    False
    """
    return any(
        isinstance(found, distributed.DistError) or any(sign in str(found) for sign in _MESSAGES_OF_LOSS)
        for found in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
