"""The queue of trials of a study, from which several processes take each trial once, and at whose end they stop."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import Event, Thread
from typing import Any

from optuna import Study, Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from recsys.search.optuna.attributes import BEAT, NAME, WORKER, is_finished, trial_name
from recsys.search.optuna.sampler import choice_key
from recsys.search.optuna.space import Params
from recsys.search.optuna.workers import is_gone, this_worker

__all__ = ["TrialQueue", "fixed_params"]

BEAT_SECONDS = 30.0
"""Time between two beats."""
GRACE_SECONDS = 300.0
"""Time without a beat after which the process of another host is taken for gone."""
POLL_SECONDS = 1.0
"""Time between two looks at what others do."""


class TrialQueue:
    """The trials of a study, as one of the processes that work on it sees them.

    Args:
        study: with the sampler.
        distributions: of each parameter.
        total: number of finished trials at which all stop.
        size: number of different choices; None if there is no end to them.
        log: called with lines for the user.
        claiming: a lock that all processes of this host share. SQLite locks no rows, so that two processes that ask a
            study at once are given the same trial.
    """

    def __init__(
        self,
        study: Study,
        distributions: Mapping[str, BaseDistribution],
        *,
        total: int,
        size: int | None,
        log: Callable[[str], None],
        claiming: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.study = study
        self.distributions = distributions
        self.total = total
        self.size = size
        self.log = log
        self.claiming = claiming
        self._beats: dict[int, tuple[object, float]] = {}

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, as they are now."""
        return self.study.get_trials(deepcopy=False)

    def num_finished(self) -> int:
        """Return the number of trials that count as done."""
        return sum(map(is_finished, self.trials()))

    def begin(self) -> Trial | None:
        """Begin a trial, or wait until it is certain that there is none to begin; None then.

        As long as others work on the last ones this waits, since they may be lost.
        """
        while True:
            self.take_up_lost()
            trials = self.trials()
            finished = sum(map(is_finished, trials))
            running = [trial for trial in trials if trial.state == TrialState.RUNNING]
            if finished >= self.total:
                return None
            if finished + len(running) < self.total and self._has_more(trials):
                with self.claiming():
                    trial = self._claim()
                if trial is not None:
                    return trial
            elif running:
                time.sleep(POLL_SECONDS)
            else:
                self.log(f"all {finished} choices of the space are tried")
                return None

    def _has_more(self, trials: Sequence[FrozenTrial]) -> bool:
        if self.size is None or any(trial.state == TrialState.WAITING for trial in trials):
            return True
        return len({choice_key(trial.params) for trial in trials if trial.params}) < self.size

    def _claim(self) -> Trial | None:
        """Begin the trial that waits longest, or a new one; None if others were faster."""
        trial = self.study.ask()
        fixed = self._frozen(trial).system_attrs.get("fixed_params")
        if fixed is None or fixed:
            for name, distribution in self.distributions.items():
                _suggest(trial, name, distribution)
        trial.set_user_attr(WORKER, this_worker())
        others = [other for other in self.trials() if other.number != trial.number]
        if any(_is_same(trial, other) for other in others):
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        ahead = [one for one in others if one.state == TrialState.RUNNING and one.number < trial.number]
        if len(ahead) + sum(map(is_finished, others)) >= self.total:
            self.give_back(trial)
            return None
        return trial

    def give_back(self, trial: Trial) -> None:
        """Leave a trial to whoever comes next; its run goes on from its checkpoint."""
        self._put_back(self._frozen(trial))

    def _frozen(self, trial: Trial) -> FrozenTrial:
        return next(one for one in self.trials() if one.number == trial.number)

    def take_up_lost(self) -> None:
        """Put trials back whose process is gone."""
        for trial in self.trials():
            if trial.state == TrialState.RUNNING and self._is_lost(trial) and self._put_back(trial):
                self.log(f"{trial_name(trial)}: its process is gone, so it is taken up again")

    def _put_back(self, trial: FrozenTrial) -> bool:
        """End a trial without figures and queue its choice anew; False if another process has done so."""
        try:
            self.study.tell(trial.number, state=TrialState.FAIL)
        except (UpdateFinishedTrialError, ValueError):
            return False
        attributes = {key: value for key, value in trial.user_attrs.items() if key not in (WORKER, BEAT)}
        self.study.enqueue_trial(fixed_params(trial), user_attrs={**attributes, NAME: trial_name(trial)})
        return True

    def _is_lost(self, trial: FrozenTrial) -> bool:
        worker = trial.user_attrs.get(WORKER)
        gone = None if worker is None else is_gone(worker)
        if gone is not None:
            return gone
        beat = trial.user_attrs.get(BEAT)
        known, since = self._beats.get(trial.number, (None, 0.0))
        if trial.number not in self._beats or known != beat:
            self._beats[trial.number] = beat, time.monotonic()
            return False
        return time.monotonic() - since > GRACE_SECONDS

    @contextmanager
    def working_on(self, trial: Trial) -> Iterator[None]:
        """Tell others, for the time of the block, that this process is there; give the trial back if it is stopped.

        What stops it is a signal, or an error that is none of the trial.
        """
        stop = Event()
        thread = Thread(target=_beat, args=(trial, stop), daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            with suppress(Exception):  # a storage that is gone has no use for it
                self.give_back(trial)
            raise
        finally:
            stop.set()
            thread.join()


def fixed_params(trial: FrozenTrial) -> Params:
    """Return the choice of a trial, whether it was begun or only queued."""
    return dict(trial.params or trial.system_attrs.get("fixed_params", {}))


def _beat(trial: Trial, stop: Event) -> None:
    count = 0
    while not stop.wait(BEAT_SECONDS):
        count += 1
        with suppress(Exception):  # whoever works on the trial will meet it too
            trial.set_user_attr(BEAT, count)


def _is_same(trial: Trial, other: FrozenTrial) -> bool:
    """Say whether another trial, begun earlier, has the choice of this one."""
    alive = other.state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    return alive and other.number < trial.number and choice_key(other.params) == choice_key(trial.params)


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high, step, log = distribution.low, distribution.high, distribution.step, distribution.log
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, int(low), int(high), step=int(step or 1), log=log)
    return trial.suggest_float(name, low, high, step=step, log=log)
