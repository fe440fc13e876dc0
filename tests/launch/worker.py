"""A process that stands in for `recsys train`: `worker.py 0:join,meet 1:join,kill` says what each rank does in turn."""

import ctypes
import os
import signal
import sys
import time
from contextlib import nullcontext

from recsys.cli import app as command_line
from recsys.errors import DataError, Preempted


def act(name: str) -> None:
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif name == "refuse":
        raise DataError("log.csv: is not there")
    elif name == "break":
        print("about to break")
        raise ValueError("a fault of the program")
    elif name == "exit":
        print("leaving")
        os._exit(3)
    elif name == "stop":
        raise Preempted
    elif name == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    elif name == "hog":  # holds the lock of Python
        ctypes.PyDLL(None).sleep(4)
    elif name == "hasty":  # gives others up after 3 s
        from recsys.ranks import join

        join._watches[0]._limit = 3
    elif name == "join-soon":
        from recsys.ranks.join import join as join_ranks

        join_ranks("cpu", timeout=5)
    elif name == "say":
        print(f"pid {os.getpid()}", file=sys.stderr, flush=True)
    elif name == "threads":
        print(f"threads {os.environ['OMP_NUM_THREADS']}", file=sys.stderr)
    elif name == "meet":
        from torch import distributed

        while True:
            distributed.barrier()
            time.sleep(0.01)
    elif name == "save":
        from recsys.ranks.signals import saving_on_sigterm, stop_requested

        with saving_on_sigterm(lambda line: print(line, file=sys.stderr)):
            while not stop_requested():
                time.sleep(0.05)
            time.sleep(1)
            print("saved", file=sys.stderr)
            raise Preempted
    else:
        time.sleep(float(name))


def run() -> None:
    own = next(word.split(":")[1] for word in sys.argv[1:] if word.startswith(f"{os.environ['RANK']}:"))
    actions = own.split(",")
    stopping, joined = nullcontext, nullcontext
    if "join" in actions:
        import torch

        from recsys.ranks.join import process_group as join_ranks
        from recsys.ranks.signals import stopping_on_sigterm as stopping

        torch.set_num_threads(1)
        joined = lambda: join_ranks("cpu")  # noqa: E731
    before = actions[: actions.index("join")] if "join" in actions else []
    for action in before:
        act(action)
    with stopping(), joined():
        for action in actions[len(before) :]:
            if action != "join":
                act(action)


if __name__ == "__main__":
    command_line.app = run
    command_line.main()
