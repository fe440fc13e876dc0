import subprocess
import sys
import time
from pathlib import Path

from recsys.search.optuna.workers import is_gone, this_worker


def test_a_process_is_there_as_long_as_it_runs() -> None:
    assert is_gone(this_worker()) is False


def test_a_process_that_has_ended_is_gone_also_if_its_number_is_used_again() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_gone(this_worker() | {"process": ended.pid}) is True
    assert is_gone(this_worker() | {"started": "1"}) is True


def test_a_process_that_nobody_has_waited_for_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
        worker = this_worker() | {"process": child.pid, "started": started}
        assert is_gone(worker) is False
        child.kill()
        deadline = time.monotonic() + 10
        while not is_gone(worker):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_nothing_is_known_of_a_process_of_another_host() -> None:
    assert is_gone(this_worker() | {"host": "elsewhere"}) is None
