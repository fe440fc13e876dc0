"""However one process fails, all are over soon, and the last lines say why."""

import re
import signal
import time

import pytest

from recsys.launch.failure import Failure
from recsys.launch.launcher import Outcome, WorkerExit, find_outcome
from tests.launch.processes import children_of, is_running, launched, read_pid, run_fake_workers, wait_for_end


@pytest.mark.ranks
def test_all_that_goes_well_says_nothing() -> None:
    assert run_fake_workers("0:0", "1:0.5")[:2] == (0, [])


@pytest.mark.ranks
def test_ranks_may_end_at_different_times() -> None:
    code, lines, seconds = run_fake_workers("0:join", "1:join,9")
    assert (code, lines) == (0, [])
    assert seconds > 9


@pytest.mark.ranks
def test_a_killed_rank_ends_those_that_wait_for_it() -> None:
    code, lines, seconds = run_fake_workers("0:join,barriers", "1:join,1,kill")
    assert code == 1
    assert lines == [
        "error: rank 1: the process was killed (SIGKILL), as the system does when memory runs out",
        "to resume: again 1",
    ]
    assert seconds < 30


@pytest.mark.ranks
def test_a_killed_first_rank_ends_the_others() -> None:
    code, lines, seconds = run_fake_workers("0:join,1,kill", "1:join,barriers", "2:join,60")
    assert code == 1
    assert lines[-2].startswith("error: rank 0: the process was killed (SIGKILL)")
    assert seconds < 30


@pytest.mark.ranks
def test_a_rank_that_is_killed_before_it_joins_is_not_waited_for() -> None:
    code, lines, seconds = run_fake_workers("0:join", "1:kill")
    assert (code, lines[-2][:45]) == (1, "error: rank 1: the process was killed (SIGKIL")
    assert seconds < 30


@pytest.mark.ranks
@pytest.mark.parametrize("waiting", ["barriers", "60", pytest.param("hold-gil,barriers", marks=pytest.mark.proof)])
def test_what_a_rank_refuses_is_said_once(waiting: str) -> None:
    code, lines, seconds = run_fake_workers(f"0:join,{waiting}", "1:join,1,user-error")
    assert code == 2
    assert lines == ["error: log.csv: is not there", "to resume: again 2"]
    assert seconds < 30


@pytest.mark.ranks
def test_what_the_first_rank_refuses_is_said_once() -> None:
    assert run_fake_workers("0:join,1,user-error", "1:join,barriers")[:2] == (
        2,
        ["error: log.csv: is not there", "to resume: again 2"],
    )


@pytest.mark.ranks
def test_what_all_ranks_refuse_is_said_once() -> None:
    code, lines, _ = run_fake_workers("0:user-error", "1:user-error")
    assert code == 2
    assert re.fullmatch(r"error: log.csv: is not there", lines[0])
    assert lines[1:] == ["to resume: again 2"]


@pytest.mark.ranks
def test_a_fault_of_the_program_shows_the_traceback_of_its_rank_alone() -> None:
    code, lines, _ = run_fake_workers("0:join,barriers", "1:join,1,fault")
    assert code == 1
    assert lines[0] == "the last lines of rank 1:"
    assert [line for line in lines if "Traceback" in line] == ["  Traceback (most recent call last):"]
    assert lines[-2:] == ["error: rank 1: ValueError: a fault of the program", "to resume: again 1"]


@pytest.mark.ranks
def test_a_rank_without_a_reason_shows_the_end_of_its_log() -> None:
    code, lines, seconds = run_fake_workers("0:60", "1:exit-3")
    assert code == 1
    assert lines[-2:] == ["error: rank 1: the process ended with exit code 3", "to resume: again 1"]
    assert seconds < 30


@pytest.mark.ranks
def test_sigterm_lets_all_save() -> None:
    with launched("0:join,1,print-pid,save-on-sigterm", "1:join,save-on-sigterm") as process:
        read_pid(process)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        code, lines, _ = wait_for_end(process, time.monotonic())
    assert code == 75
    assert lines == [
        "SIGTERM: saving and stopping after this batch",
        "saved",
        "stopped by SIGTERM; to resume: again 75",
    ]


@pytest.mark.ranks
@pytest.mark.parametrize("doing", ["60", "barriers"])
def test_sigterm_ends_at_once_what_cannot_be_saved(doing: str) -> None:
    with launched(f"0:join,print-pid,{doing}", "1:join,60") as process:
        read_pid(process)
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code, lines, seconds = wait_for_end(process, since)
    assert (code, lines) == (75, ["stopped by SIGTERM; to resume: again 75"])
    assert seconds < 10


@pytest.mark.ranks
def test_ctrl_c_ends_ranks_that_do_not_listen() -> None:
    with launched("0:ignore-signals,print-pid,60", "1:60") as process:
        pid = read_pid(process)
        since = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, lines, seconds = wait_for_end(process, since)
    assert (code, lines[-1]) == (130, "interrupted; to resume: again 130")
    assert seconds < 10
    assert not is_running(pid)


@pytest.mark.ranks
def test_workers_do_not_outlive_the_process_that_started_them() -> None:
    with launched("0:ignore-signals,print-pid,60", "1:ignore-signals,60") as process:
        pids = {read_pid(process), *children_of(process.pid)}
        assert len(pids) == 2
        process.kill()
        process.wait()
        deadline = time.monotonic() + 5
        while any(map(is_running, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(is_running, pids))


@pytest.mark.parametrize(
    ("exits", "received", "reported", "outcome"),
    [
        ([(0, 0), (1, 0)], None, None, Outcome(0)),
        ([(0, 75), (1, 75)], None, None, Outcome(75, "stopped by SIGTERM")),
        ([(0, 75), (1, -15)], signal.SIGTERM, None, Outcome(75, "stopped by SIGTERM")),
        ([(0, 2), (1, 2)], None, Failure(1, "no file", 2), Outcome(2, "error: no file")),
        ([(0, 1), (1, 1)], None, Failure(1, "fault", 1), Outcome(1, "error: rank 1: fault", 1)),
        ([(0, 3), (1, 0)], None, None, Outcome(1, "error: rank 0: the process ended with exit code 3", 0)),
        ([(1, 130), (0, 0)], None, None, Outcome(130, "error: rank 1: the process ended with exit code 130", 1)),
        ([(0, 1), (1, 1)], signal.SIGINT, Failure(1, "fault", 1), Outcome(130, "interrupted")),
    ],
)
def test_an_outcome_follows_from_exits_the_signal_and_the_reported_failure(
    exits: list[tuple[int, int]], received: signal.Signals | None, reported: Failure | None, outcome: Outcome
) -> None:
    assert find_outcome([WorkerExit(*one) for one in exits], received, reported) == outcome


def test_a_rank_that_was_killed_is_described_by_its_signal_and_not_by_what_others_guessed() -> None:
    exits = [WorkerExit(1, -11), WorkerExit(0, 1)]
    outcome = find_outcome(exits, None, Failure(1, "has ended without a message", 1))
    assert outcome == Outcome(1, "error: rank 1: the process was killed (SIGSEGV)", 1)


def test_ranks_that_the_launcher_killed_are_not_the_reason() -> None:
    exits = [WorkerExit(1, 5), WorkerExit(0, -9, killed_by_launcher=True)]
    assert find_outcome(exits, None, None).message == "error: rank 1: the process ended with exit code 5"
