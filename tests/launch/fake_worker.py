"""A process in the place of `recsys train`: `fake_worker.py 0:join,barriers 1:join,kill` says what each rank does.

The actions of a rank are done one after another; a number sleeps for so many seconds. "join" forms the process group.
"""

import ctypes
import os
import signal
import sys
import time

from recsys.cli import app as command_line
from recsys.errors import DataError, Preempted


def act(action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "user-error":
        raise DataError("log.csv: is not there")
    elif action == "fault":
        print("about to break")
        raise ValueError("a fault of the program")
    elif action == "exit-3":
        print("leaving")
        os._exit(3)
    elif action == "preempted":
        raise Preempted
    elif action == "ignore-signals":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    elif action == "hold-gil":
        ctypes.PyDLL(None).sleep(4)
    elif action == "impatient":
        from recsys.ranks import process_group as process_groups

        process_groups._monitors[0]._limit = 3
    elif action == "join-soon":
        from recsys.ranks.process_group import init_process_group

        init_process_group("cpu", timeout=5)
    elif action == "print-pid":
        print(f"pid {os.getpid()}", file=sys.stderr, flush=True)
    elif action == "print-threads":
        print(f"threads {os.environ['OMP_NUM_THREADS']}", file=sys.stderr)
    elif action == "barriers":
        from torch import distributed

        while True:
            distributed.barrier()
            time.sleep(0.01)
    elif action == "save-on-sigterm":
        from recsys.ranks.signals import saving_on_sigterm, stop_requested

        with saving_on_sigterm(lambda line: print(line, file=sys.stderr)):
            while not stop_requested():
                time.sleep(0.05)
            time.sleep(1)
            print("saved", file=sys.stderr)
            raise Preempted
    else:
        time.sleep(float(action))


def act_all(actions: list[str]) -> None:
    for action in actions:
        act(action)


def run() -> None:
    own = next(argument for argument in sys.argv[1:] if argument.startswith(f"{os.environ['RANK']}:"))
    actions = own.partition(":")[2].split(",")
    if "join" not in actions:
        act_all(actions)
        return
    import torch

    from recsys.ranks.process_group import process_group
    from recsys.ranks.signals import stopping_on_sigterm

    torch.set_num_threads(1)
    join = actions.index("join")
    act_all(actions[:join])
    with stopping_on_sigterm(), process_group("cpu"):
        act_all(actions[join + 1 :])


if __name__ == "__main__":
    command_line.app = run
    command_line.main()
