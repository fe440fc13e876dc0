"""Watching the other ranks, so that none waits for one that is gone.

A collective waits for a lost rank: for gloo until its connection breaks, for NCCL forever. So each rank has a thread
that writes a sign of life into the store that the ranks met at, and looks at those of the others. A rank that fails
writes why; whoever finds that, or finds a rank silent for too long, ends its process, wherever the main thread is.

A silence is counted in looks, not in seconds: of a host that was suspended, all clocks jump and nobody is dead. A rank
is given up after 15 looks, one a second, since a kernel that holds Python's lock stops the thread with all others.
All ranks are then over after 16 to 23 s. A rank that raises, or is killed under `recsys train --devices`, ends them
within 2 s and 6 s.
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

from recsys.environment.worker import Failure, tell_launcher
from recsys.errors import Preempted, user_message
from recsys.ranks.world import World

__all__ = ["Watch", "has_lost_peer", "show_itself"]

LOOK_SECONDS = 1.0
SILENT_LOOKS = 15

LOST_SECONDS = 4.5
"""In which the reason why a connection broke may become known."""

LINGER_SECONDS = 4.0
"""In which rank 0, where the store is, lets the others read it before it ends."""

GONE = "has gone without a word, as when the system kills a process because memory runs out, or its host is lost"

_STOPPED = {f"ended {code}".encode(): code for code in (Preempted.EXIT_CODE, 130)}

_SIGNS_OF_LOSS = ("gloo", "Connection closed", "Connection reset", "Broken pipe", "NCCL", "remote process exited")


class Watch:
    """The thread, and what the main thread tells it.

    Args:
        store: a connection of its own to what all ranks share.
        world: of this process.
        look_seconds: between two looks.
        silent_looks: after which a rank is given up.
    """

    def __init__(
        self,
        store: Store,
        world: World,
        *,
        look_seconds: float = LOOK_SECONDS,
        silent_looks: int = SILENT_LOOKS,
    ) -> None:
        self._store = store
        self._world = world
        self._look_seconds = look_seconds
        self._limit = silent_looks
        self._signs = [b""] * world.size
        self._silent = [0] * world.size
        self._looks = 0
        self._own: Failure | None = None
        self._told = Event()
        self._wake = Event()
        self._closing: int | None = None
        self._closed = Event()
        self._ending = Lock()
        self._store_is_gone = False
        self._threads = [Thread(target=run, name="watch", daemon=True) for run in (self._watch, self._watch_the_store)]

    def start(self) -> None:
        """Begin to watch; every rank must have shown itself before any does this."""
        for thread in self._threads:
            thread.start()

    def close(self, code: int = 0) -> None:
        """Stop watching: this rank ends as it should, and is not missed. Rank 0 waits for others that end too.

        Args:
            code: that the process is going to end with: 0, or that of a stop.
        """
        self._closing = code
        self._closed.set()
        self._wake.set()
        self._threads[0].join(timeout=2 * LINGER_SECONDS)

    def die_of(self, error: BaseException) -> NoReturn:
        """End the process because of an error, and all others with its reason; without a traceback if it has none.

        When the error is only that another rank is gone, waits for what is to be learnt of that one.
        """
        problem = user_message(error)
        if problem is not None:
            failure = Failure(self._world.rank, problem, 2)
        else:
            failure = (self._learn() if has_lost_peer(error) else None) or self._unforeseen(error)
        self._own = failure
        self._wake.set()
        self._told.wait(LINGER_SECONDS)
        self._end(failure)

    def _unforeseen(self, error: BaseException) -> Failure:
        traceback.print_exception(error)
        return Failure(self._world.rank, "".join(traceback.format_exception_only(error)).strip(), 1)

    def _learn(self) -> Failure | None:
        """Wait until the thread ends this process with the reason; return what can be guessed if it does not."""
        deadline = time.monotonic() + LOST_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if self._store_is_gone:
                return Failure(0, GONE, 1)
            for rank, sign in enumerate(self._signs):
                if sign in _STOPPED:
                    return Failure(rank, "was stopped", _STOPPED[sign])
        silent = [rank for rank, looks in enumerate(self._silent) if looks >= 3 and rank != self._world.rank]
        return Failure(silent[0], GONE, 1) if silent else None

    def _watch(self) -> None:
        try:
            while self._closing is None:
                self._look()
                self._wake.wait(self._look_seconds)
                self._wake.clear()
            self._store.set(f"sign/{self._world.rank}", f"ended {self._closing}")
            self._linger()
        except RuntimeError:  # of any kind: the store has gone, and with it rank 0
            self._store_is_gone = True
            self._told.set()
            if not self._closed.wait(LINGER_SECONDS):
                self._end(Failure(0, GONE, 1), store_answers=False)

    def _look(self) -> None:
        self._looks += 1
        self._store.set(f"sign/{self._world.rank}", str(self._looks))
        if self._own is not None:
            self._store.compare_set("failure", "", self._own.to_json())  # the first one stays
        if self._store.check(["failure"]):
            self._told.set()
            if self._own is None:
                self._end(Failure.from_json(self._store.get("failure")))
        signs = self._read_signs()
        for rank, (sign, before) in enumerate(zip(signs, self._signs, strict=True)):
            self._silent[rank] = self._silent[rank] + 1 if sign == before else 0
            if self._silent[rank] >= self._limit and sign != b"ended 0":
                failure = self._silence_of(rank, sign)
                self._store.compare_set("failure", "", failure.to_json())
                self._end(failure)
        self._signs = signs

    def _silence_of(self, rank: int, sign: bytes = b"") -> Failure:
        if sign in _STOPPED:
            return Failure(rank, "was stopped", _STOPPED[sign])
        seconds = self._limit * self._look_seconds
        return Failure(rank, f"no sign of life for {seconds:.0f} s: its host is lost, or the process is frozen", 1)

    def _watch_the_store(self) -> None:
        """End the process when the thread that looks does not come back: a store that is frozen answers nothing."""
        looks, stuck = 0, 0
        while not self._closed.wait(self._look_seconds):
            stuck = stuck + 1 if self._looks == looks else 0
            looks = self._looks
            if stuck >= self._limit:
                self._end(self._silence_of(0), store_answers=False)

    def _read_signs(self) -> list[bytes]:
        signs: list[bytes] = self._store.multi_get([f"sign/{rank}" for rank in range(self._world.size)])
        return signs

    def _linger(self, lost: int | None = None) -> None:
        """Where the store may end with this process: let the others read it first."""
        deadline = time.monotonic() + LINGER_SECONDS
        while self._world.is_rank_zero and time.monotonic() < deadline:
            signs = enumerate(self._read_signs())
            if all(sign.startswith(b"ended") for rank, sign in signs if rank not in (0, lost)):
                return
            time.sleep(0.02)

    def _end(self, failure: Failure, *, store_answers: bool = True) -> NoReturn:
        """End this process; rank 0 says why, unless there is a launcher that does."""
        self._ending.acquire()  # for good: another thread may have found a reason too
        with suppress(Exception):  # whatever it is, the process must end
            if not tell_launcher(failure) and self._world.is_rank_zero:
                print(failure, file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            if store_answers:
                self._store.set(f"sign/{self._world.rank}", f"ended {failure.code}")
                self._linger(lost=failure.rank)
        os._exit(failure.code)


def show_itself(store: Store, rank: int) -> None:
    """Write a rank's first sign of life into the store that is watched."""
    store.set(f"sign/{rank}", "0")


def has_lost_peer(error: BaseException) -> bool:
    """Return whether an error says no more than that another rank does not answer.

    >>> has_lost_peer(RuntimeError("[gloo/transport/tcp/pair.cc:554] Connection closed by peer [127.0.0.1]:1234"))
    True
    >>> has_lost_peer(ValueError("x"))
    False
    """
    return any(
        isinstance(found, distributed.DistError) or any(sign in str(found) for sign in _SIGNS_OF_LOSS)
        for found in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
