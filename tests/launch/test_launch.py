"""However one process fails, all are over soon, and the last lines say why."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

PARENT = Path(__file__).with_name("parent.py")


class Ended(NamedTuple):
    code: int
    lines: list[str]
    seconds: float


@contextmanager
def launched(*workers: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, str(PARENT), *workers], stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]", since: float) -> Ended:
    _, err = process.communicate(timeout=60)
    return Ended(process.returncode, err.splitlines(), time.monotonic() - since)


def run(*workers: str) -> Ended:
    since = time.monotonic()
    with launched(*workers) as process:
        return ended(process, since)


def pid_said(process: "subprocess.Popen[str]") -> int:
    assert process.stderr is not None
    found = re.fullmatch(r"pid (\d+)\n", process.stderr.readline())
    assert found
    return int(found[1])


def lives(pid: int) -> bool:
    """Return whether a process runs, and is no zombie."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def workers_of(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def test_all_that_goes_well_says_nothing() -> None:
    assert run("0:0", "1:0.5")[:2] == (0, [])


def test_ranks_may_end_at_different_times() -> None:
    code, lines, seconds = run("0:join", "1:join,9")
    assert (code, lines) == (0, [])
    assert seconds > 9


def test_a_killed_rank_ends_those_that_wait_for_it() -> None:
    code, lines, seconds = run("0:join,meet", "1:join,1,kill")
    assert code == 1
    assert lines == [
        "error: rank 1: the process was killed (SIGKILL), as the system does when memory runs out",
        "to go on: again 1",
    ]
    assert seconds < 30


def test_a_killed_first_rank_ends_the_others() -> None:
    code, lines, seconds = run("0:join,1,kill", "1:join,meet", "2:join,60")
    assert code == 1
    assert lines[-2].startswith("error: rank 0: the process was killed (SIGKILL)")
    assert seconds < 30


def test_a_rank_that_is_killed_before_it_joins_is_not_waited_for() -> None:
    code, lines, seconds = run("0:join", "1:kill")
    assert (code, lines[-2][:45]) == (1, "error: rank 1: the process was killed (SIGKIL")
    assert seconds < 30


@pytest.mark.parametrize("waiting", ["meet", "60", pytest.param("hog,meet", marks=pytest.mark.proof)])
def test_what_a_rank_refuses_is_said_once(waiting: str) -> None:
    code, lines, seconds = run(f"0:join,{waiting}", "1:join,1,refuse")
    assert code == 2
    assert lines == ["error: log.csv: is not there", "to go on: again 2"]
    assert seconds < 30


def test_what_the_first_rank_refuses_is_said_once() -> None:
    assert run("0:join,1,refuse", "1:join,meet")[:2] == (
        2,
        ["error: log.csv: is not there", "to go on: again 2"],
    )


def test_what_all_ranks_refuse_is_said_once() -> None:
    code, lines, _ = run("0:refuse", "1:refuse")
    assert code == 2
    assert re.fullmatch(r"error: log.csv: is not there", lines[0])
    assert lines[1:] == ["to go on: again 2"]


def test_a_fault_of_the_program_shows_the_traceback_of_its_rank_alone() -> None:
    code, lines, _ = run("0:join,meet", "1:join,1,break")
    assert code == 1
    assert lines[0] == "the last lines of rank 1:"
    assert [line for line in lines if "Traceback" in line] == ["  Traceback (most recent call last):"]
    assert lines[-2:] == ["error: rank 1: ValueError: a fault of the program", "to go on: again 1"]


def test_a_rank_without_a_reason_shows_the_end_of_its_log() -> None:
    code, lines, seconds = run("0:60", "1:exit")
    assert code == 1
    assert lines[-2:] == ["error: rank 1: the process ended with exit code 3", "to go on: again 1"]
    assert seconds < 30


def test_sigterm_lets_all_save() -> None:
    with launched("0:join,1,say,save", "1:join,save") as process:
        pid_said(process)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        code, lines, _ = ended(process, time.monotonic())
    assert code == 75
    assert lines == [
        "SIGTERM: saving and stopping after this batch",
        "saved",
        "stopped by SIGTERM; to go on: again 75",
    ]


@pytest.mark.parametrize("doing", ["60", "meet"])
def test_sigterm_ends_at_once_what_cannot_be_saved(doing: str) -> None:
    with launched(f"0:join,say,{doing}", "1:join,60") as process:
        pid_said(process)
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code, lines, seconds = ended(process, since)
    assert (code, lines) == (75, ["stopped by SIGTERM; to go on: again 75"])
    assert seconds < 10


def test_ctrl_c_ends_ranks_that_do_not_listen() -> None:
    with launched("0:deaf,say,60", "1:60") as process:
        pid = pid_said(process)
        since = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, lines, seconds = ended(process, since)
    assert (code, lines[-1]) == (130, "interrupted; to go on: again 130")
    assert seconds < 10
    assert not lives(pid)


def test_workers_do_not_outlive_the_process_that_started_them() -> None:
    with launched("0:deaf,say,60", "1:deaf,60") as process:
        pids = {pid_said(process), *workers_of(process.pid)}
        assert len(pids) == 2
        process.kill()
        process.wait()
        deadline = time.monotonic() + 5
        while any(map(lives, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(lives, pids))


def test_ranks_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    expected = max(1, len(os.sched_getaffinity(0)) // 2)
    assert run("0:threads", "1:0").lines == [f"threads {expected}"]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert run("0:threads", "1:0").lines == ["threads 7"]
