from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState

from recsys.progress import no_log
from recsys.search.optuna import queue as module
from recsys.search.optuna.attributes import NAME, REASON, WORKER, is_finished, trial_name
from recsys.search.optuna.queue import TrialQueue
from recsys.search.optuna.sampler import UntriedSampler
from recsys.search.optuna.workers import this_worker

SPACE: dict[str, BaseDistribution] = {"dim a": CategoricalDistribution((4, 8, 16)), "x": CategoricalDistribution("ab")}


class Clock:
    """A clock that sleeping moves on, with what happens meanwhile."""

    def __init__(self) -> None:
        self.now = 0.0
        self.meanwhile: list[Any] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert self.now < 1000, "waits forever"
        self.now += seconds
        if self.meanwhile:
            self.meanwhile.pop(0)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(directions=["maximize", "minimize"], sampler=UntriedSampler(SPACE, seed=1))


def queue_of(study: optuna.Study, total: int, size: int | None = 6, log: list[str] | None = None) -> TrialQueue:
    return TrialQueue(study, SPACE, total=total, size=size, log=[].append if log is None else log.append)


def complete(queue: TrialQueue, trial: optuna.Trial) -> None:
    queue.study.tell(trial, [0.5, 1.0])


def test_trials_end_when_enough_are_finished(study: optuna.Study) -> None:
    queue = queue_of(study, 2)
    for _ in range(2):
        trial = queue.begin()
        assert trial is not None
        complete(queue, trial)
    assert queue.begin() is None


def test_trials_end_when_all_choices_are_tried(study: optuna.Study) -> None:
    lines: list[str] = []
    queue = queue_of(study, 10, log=lines)
    while (trial := queue.begin()) is not None:
        complete(queue, trial)
    assert len({str(trial.params) for trial in study.trials}) == 6
    assert lines == ["all 6 choices of the space are tried"]


def test_a_trial_is_taken_from_the_study_under_the_lock_of_all_processes(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives one trial to two processes that ask at once."""
    events: list[str] = []

    @contextmanager
    def claiming() -> Iterator[None]:
        events.append("locked")
        yield
        events.append("free")

    ask = study.ask
    monkeypatch.setattr(study, "ask", lambda: events.append("ask") or ask())
    trial = TrialQueue(study, SPACE, total=2, size=6, log=no_log, claiming=claiming).begin()
    assert trial is not None
    assert trial.user_attrs[WORKER] == this_worker()
    assert events == ["locked", "ask", "free"]


def test_nothing_is_begun_that_others_will_finish(study: optuna.Study, clock: Clock) -> None:
    here, there = queue_of(study, 2), queue_of(study, 2)
    mine, theirs = here.begin(), there.begin()
    assert mine is not None
    assert theirs is not None
    complete(here, mine)
    clock.meanwhile = [lambda: complete(there, theirs)]
    assert here.begin() is None
    assert len(study.trials) == 2


def test_a_trial_of_a_process_that_is_gone_is_taken_up_with_its_choice_and_its_run(study: optuna.Study) -> None:
    lines: list[str] = []
    queue = queue_of(study, 6, log=lines)
    lost = queue.begin()
    assert lost is not None
    lost.set_user_attr(WORKER, this_worker() | {"started": "another"})
    again = queue.begin()
    assert again is not None
    assert (again.params, trial_name(again)) == (lost.params, trial_name(lost))
    assert again.user_attrs[WORKER] == this_worker()
    assert [is_finished(trial) for trial in study.trials] == [False, False]
    assert lines == ["trial-0000: its process is gone, so it is taken up again"]


@pytest.mark.parametrize("worker", [this_worker() | {"host": "elsewhere"}, None])
def test_a_process_of_another_host_is_gone_when_it_is_silent_for_long(
    worker: dict[str, Any] | None, study: optuna.Study, clock: Clock
) -> None:
    queue = queue_of(study, 1)
    trial = study.ask(SPACE)
    if worker is not None:
        trial.set_user_attr(WORKER, worker)
    clock.meanwhile = [lambda beat=beat: trial.set_user_attr("beat", beat) for beat in range(50)]
    again = queue.begin()
    assert again is not None
    assert again.params == trial.params
    assert clock.now == pytest.approx(50 + module.GRACE_SECONDS, abs=3)


def test_a_trial_that_is_stopped_is_given_back(study: optuna.Study) -> None:
    queue = queue_of(study, 6)
    trial = queue.begin()
    assert trial is not None
    with pytest.raises(KeyboardInterrupt), queue.working_on(trial):
        raise KeyboardInterrupt
    assert [one.state for one in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    again = queue.begin()
    assert again is not None
    assert (again.params, again.user_attrs[NAME]) == (trial.params, "trial-0000")


def test_a_trial_that_failed_by_itself_is_done(study: optuna.Study) -> None:
    queue = queue_of(study, 1)
    trial = queue.begin()
    assert trial is not None
    trial.set_user_attr(REASON, "diverged")
    study.tell(trial, state=TrialState.FAIL)
    assert queue.begin() is None


def test_of_two_trials_with_one_choice_the_second_is_dropped(study: optuna.Study) -> None:
    study.enqueue_trial({"dim a": 4, "x": "a"})
    study.enqueue_trial({"dim a": 4, "x": "a"})
    queue = queue_of(study, 6)
    first, second = queue.begin(), queue.begin()
    assert first is not None
    assert second is not None
    assert first.params != second.params
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "FAIL", "RUNNING"]


def test_what_was_begun_at_the_same_time_beyond_the_last_trial_is_given_back(
    study: optuna.Study, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(study, 1)
    other = queue_of(study, 1)
    ask = study.ask

    def ask_late() -> optuna.Trial:
        monkeypatch.setattr(study, "ask", ask)
        first = other.begin()
        assert first is not None
        clock.meanwhile = [lambda: complete(other, first)]
        return ask()

    monkeypatch.setattr(study, "ask", ask_late)
    assert queue.begin() is None
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "WAITING"]
