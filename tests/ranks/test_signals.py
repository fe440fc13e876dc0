import os
import signal
import threading
import time
from contextlib import suppress

import pytest

from recsys.ranks.signals import Preempted, reinstall_handler, saving_on_sigterm, stop_requested, stopping_on_sigterm


def send_and_wait() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    deadline = time.monotonic() + 5
    while not stop_requested() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_sigterm_asks_a_training_to_stop_and_is_announced_once() -> None:
    said: list[str] = []
    with suppress(Preempted), saving_on_sigterm(said.append):
        assert not stop_requested()
        send_and_wait()
        assert stop_requested()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
    assert said == ["SIGTERM: saving and stopping after this batch"]


def test_a_signal_that_came_too_late_is_not_forgotten() -> None:
    with pytest.raises(Preempted) as raised, saving_on_sigterm(lambda _: None):
        send_and_wait()
    assert raised.value.code == 75


def test_the_next_training_of_a_process_begins_without_the_signal() -> None:
    with pytest.raises(Preempted), saving_on_sigterm(lambda _: None):
        send_and_wait()
    with saving_on_sigterm(lambda _: None):
        assert not stop_requested()


def test_an_error_of_the_training_is_not_hidden_by_the_signal() -> None:
    def fail() -> None:
        send_and_wait()
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"), saving_on_sigterm(lambda _: None):
        fail()


def test_handlers_are_restored() -> None:
    former = signal.getsignal(signal.SIGTERM)
    pipe = signal.set_wakeup_fd(-1)
    with stopping_on_sigterm(), saving_on_sigterm(lambda _: None):
        assert signal.getsignal(signal.SIGTERM) is not former
    assert signal.getsignal(signal.SIGTERM) is former
    assert signal.set_wakeup_fd(pipe) == -1
    assert "signals" not in {thread.name for thread in threading.enumerate()}


def test_a_handler_that_another_library_put_before_ours_is_taken_away() -> None:
    got: list[int] = []
    with suppress(Preempted), stopping_on_sigterm(), saving_on_sigterm(lambda _: None):
        signal.signal(signal.SIGTERM, lambda number, _: got.append(number))
        reinstall_handler()
        send_and_wait()
    assert got == []


def test_other_threads_may_train_but_hear_no_signals() -> None:
    heard: list[bool] = []

    def train() -> None:
        with saving_on_sigterm(lambda _: None):
            heard.append(stop_requested())

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert heard == [False]
