"""Ends of processes whose threads still use the interpreter."""

import subprocess
import sys

import pytest

LATE = """
import atexit, threading, time
import torch
from torch import distributed

distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
atexit.register(print, "exit handlers run")
threading.Thread(target=lambda: time.sleep(0.2) or print("threads are waited for")).start()
for _ in range(2):  # its two threads want the interpreter {seconds} seconds after the work is done
    distributed.all_reduce(torch.ones(3), async_op=True).get_future().then(lambda _: time.sleep({seconds}))
{end}
"""


def end(seconds: float, text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LATE.format(seconds=seconds, end=text)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.25, 0.5, 1.0])
def test_a_thread_of_gloo_that_needs_the_interpreter_does_not_end_the_process(seconds: float) -> None:
    ended = end(seconds, "from recsys.process_end import end_process; end_process(3)")
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout == "threads are waited for\nexit handlers run\n"


def test_the_command_line_ends_so() -> None:
    ended = end(0.5, "import sys; from recsys.__main__ import main; sys.argv = ['recsys', '--version']; main()")
    assert (ended.returncode, ended.stderr) == (0, "")
