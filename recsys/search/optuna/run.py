"""A search by trials from beginning to end; several processes that call it with one study each do a part of it."""

from contextlib import ExitStack
from functools import partial

from optuna import Study
from optuna.trial import FrozenTrial

from recsys.config import dump
from recsys.errors import ConfigError
from recsys.search.budgets import serving_bytes
from recsys.search.candidate import Measured
from recsys.search.costs import Cost
from recsys.search.folder import BASELINE, OTHERS_WAIT_SECONDS
from recsys.search.optuna.attributes import CPU_SECONDS, NAME, REASON, SECONDS, has_figures, trial_name
from recsys.search.optuna.leftovers import delete_checkpoints
from recsys.search.optuna.priors import first_params
from recsys.search.optuna.queue import TrialQueue, fixed_params
from recsys.search.optuna.sampler import UntriedSampler, choice_key
from recsys.search.optuna.space import SearchSpace
from recsys.search.optuna.study import close_storage, open_storage, open_study, storage_errors
from recsys.search.optuna.trial import TrialRunner
from recsys.search.session import Session

__all__ = ["JOURNAL", "TRIALS", "run_trials"]

JOURNAL = "study.journal"
"""File of the study in the state of a search, unless a storage is given."""
TRIALS = "trials"
"""Name of what a search by trials spends its time on, in the costs."""


def run_trials(
    session: Session, *, trials: int, budget: int | None = None, storage: str | None = None
) -> list[Measured]:
    """Train trials until the study has enough of them, beside other processes that do the same.

    Args:
        session: the search; the name of its folder is that of the study.
        trials: number of finished trials at which the search ends, over all processes and calls.
        budget: most bytes of all tables when served, to which the sampler prefers to keep.
        storage: database or journal file of the study. Default: a journal file in the folder.

    Returns:
        What was measured, the user's configuration first: complete and stopped trials, of all processes.

    Raises:
        ConfigError: there is nothing to search, the study is another one's, or no trial could be trained.
        RecsysError: the storage cannot be reached.
    """
    config, prepared = session.config, session.prepared
    space = SearchSpace(config, prepared)
    journal = session.folder.state / JOURNAL
    with ExitStack() as opened, storage_errors(storage or str(journal)):
        kept_in = open_storage(storage, journal)
        opened.callback(close_storage, kept_in)
        study = open_study(
            kept_in,
            session.folder.path.name,
            directions=["maximize", "minimize"] if space.changes_bytes else ["maximize"],
            sampler=UntriedSampler(space.distributions, config.train.seed),
            facts={"configuration": dump(config), "data": str(prepared.origin()["content"])},
        )
        runner = TrialRunner(session=session, space=space, budget=budget)
        queue = TrialQueue(
            study,
            space.distributions,
            total=trials,
            size=space.size,
            log=session.log,
            claiming=partial(session.folder.changing, wait_seconds=OTHERS_WAIT_SECONDS),
        )
        _queue_first(study, space, session, budget)
        while True:
            session.on_progress(TRIALS, queue.num_finished(), trials)
            trial = queue.begin()
            if trial is None:
                break
            runner.run(queue, trial)
            delete_checkpoints(session.folder, queue.trials())
        return _all_measured(runner, queue.trials())


def _queue_first(study: Study, space: SearchSpace, session: Session, budget: int | None) -> None:
    """Queue the user's configuration and what is known to be worth a try, unless the study has it."""
    by_table = serving_bytes(space.prepared.resolved, space.prepared.state)
    fixed_bytes = sum(by_table.values()) - space.own_bytes()
    with session.folder.changing():
        trials = study.get_trials(deepcopy=False)
        if not any(trial_name(trial) == BASELINE for trial in trials):
            study.enqueue_trial(space.own_params() or {}, user_attrs={NAME: BASELINE})
        known = {choice_key(fixed_params(trial)) for trial in trials}
        for params in first_params(space, budget, fixed_bytes):
            if choice_key(params) not in known:
                study.enqueue_trial(params)


def _all_measured(runner: TrialRunner, trials: list[FrozenTrial]) -> list[Measured]:
    """Return the figures of all trials that have some, and count what they cost."""
    known = list(filter(has_figures, trials))
    known.sort(key=lambda trial: (trial_name(trial) != BASELINE, trial.number))
    if not known or trial_name(known[0]) != BASELINE:
        reasons = [trial.user_attrs[REASON] for trial in trials if REASON in trial.user_attrs]
        raise ConfigError(f"no trial could be trained: {(reasons or ['the study has none'])[0]}")
    costs = [Cost(trial.user_attrs[SECONDS], trial.user_attrs.get(CPU_SECONDS, 0.0)) for trial in known]
    runner.session.clock.costs[BASELINE] = costs[0]
    runner.session.clock.costs[TRIALS] = Cost(sum(one.seconds for one in costs), sum(one.cpu_seconds for one in costs))
    return [runner.measured(trial) for trial in known]
