"""However a rank is lost, the others end with its reason, also where nobody watches over them."""

import signal

import pytest

from recsys.ranks.heartbeat import PEER_LOST
from tests.ranks.unsupervised import started, wait_for_end, wait_for_pid

pytestmark = pytest.mark.ranks


def test_the_first_rank_says_why_another_failed() -> None:
    with started("0:join,barriers", "1:join,1,print-pid,user-error", "2:join,60") as ranks:
        wait_for_pid(ranks[1])
        first, second, third = (wait_for_end(rank, within=10) for rank in ranks)
    assert first == (2, ["error: log.csv: is not there"])
    assert (second, third) == ((2, []), (2, []))


def test_a_rank_that_was_killed_is_found_by_what_it_does_not_say() -> None:
    with started("0:join,barriers", "1:join,1,print-pid,kill", "2:join,60") as ranks:
        wait_for_pid(ranks[1])
        first, _, third = (wait_for_end(rank, within=15) for rank in ranks)
    assert first == (1, [f"error: rank 1: {PEER_LOST}"])
    assert third == (1, [])


def test_the_first_rank_may_be_killed_too() -> None:
    with started("0:join,1,print-pid,kill", "1:join,barriers", "2:join,60") as ranks:
        wait_for_pid(ranks[0])
        assert [wait_for_end(rank, within=15) for rank in ranks] == [(-9, []), (1, []), (1, [])]


def test_a_frozen_rank_is_given_up() -> None:
    with started("0:join,impatient,60", "1:join,impatient,print-pid,60") as ranks:
        wait_for_pid(ranks[1])
        ranks[1].send_signal(signal.SIGSTOP)
        code, lines = wait_for_end(ranks[0], within=15)
        assert code == 1
        assert lines == ["error: rank 1: no heartbeat for 3 s: its host is lost, or the process is frozen"]
        ranks[1].send_signal(signal.SIGCONT)
        assert wait_for_end(ranks[1], within=15) == (1, [])


@pytest.mark.proof
def test_a_frozen_first_rank_which_has_the_store_is_given_up() -> None:
    with started("0:join,impatient,print-pid,60", "1:join,impatient,print-pid,60") as ranks:
        wait_for_pid(ranks[0])
        wait_for_pid(ranks[1])
        ranks[0].send_signal(signal.SIGSTOP)
        assert wait_for_end(ranks[1], within=15) == (1, [])


@pytest.mark.proof
def test_a_rank_whose_threads_all_stand_still_for_some_seconds_is_not_given_up() -> None:
    with started("0:join,6", "1:join,hold-gil") as ranks:
        assert [wait_for_end(rank, within=60) for rank in ranks] == [(0, []), (0, [])]


def test_ranks_that_stop_in_step_are_not_taken_for_failures() -> None:
    with started("0:join,preempted", "1:join,2,preempted") as ranks:
        assert [wait_for_end(rank, within=60) for rank in ranks] == [(75, []), (75, [])]


@pytest.mark.proof
def test_a_rank_that_stops_alone_stops_the_others() -> None:
    with started("0:join,barriers", "1:join,1,print-pid,preempted") as ranks:
        wait_for_pid(ranks[1])
        first, second = (wait_for_end(rank, within=15) for rank in ranks)
    assert first == (75, ["error: rank 1: was stopped"])
    assert second == (75, [])
