import math

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from recsys.search.optuna import sampler
from recsys.search.optuna.attributes import AUC, BYTES, WORKER
from recsys.search.optuna.sampler import UntriedSampler, choice_key

DIMS: dict[str, BaseDistribution] = {f"dim {name}": CategoricalDistribution((4, 8, 16, 32)) for name in "abcd"}
NEED = {"dim a": 1.0, "dim b": 3.0, "dim c": 6.0, "dim d": 12.0}


def study_of(distributions: dict[str, BaseDistribution], seed: int = 1) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(directions=["maximize", "minimize"], sampler=UntriedSampler(distributions, seed))


def play(study: optuna.Study, distributions: dict[str, BaseDistribution], trials: int) -> list[dict[str, int]]:
    """Run trials whose AUC is a sum over tables, each with its own need."""
    chosen = []
    for _ in range(trials):
        trial = study.ask(distributions)
        trial.set_user_attr(WORKER, {})
        auc = 0.7 + sum(0.02 * (1 - math.exp(-dim / NEED[name])) for name, dim in trial.params.items())
        trial.set_user_attr(AUC, auc)
        trial.set_user_attr(BYTES, 100 * sum(trial.params.values()))
        study.tell(trial, [auc, 100 * sum(trial.params.values())])
        chosen.append(trial.params)
    return chosen


def test_no_choice_is_drawn_twice_until_all_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "STARTUP_TRIALS", 14)
    some = {name: DIMS[name] for name in ("dim a", "dim b")}
    chosen = play(study_of(some), some, 16)
    assert len({choice_key(params) for params in chosen}) == 16


@pytest.mark.slow
def test_a_search_that_was_stopped_goes_on_with_the_same_choices() -> None:
    whole = study_of(DIMS)
    expected = play(whole, DIMS, 9)
    other = study_of(DIMS)
    play(other, DIMS, 7)
    again = study_of(DIMS)
    again.add_trials(other.trials)
    assert play(again, DIMS, 2) == expected[7:]
    assert play(study_of(DIMS, seed=2), DIMS, 1) != expected[:1]


@pytest.mark.slow
def test_the_model_finds_the_tables_that_need_their_width() -> None:
    study = study_of(DIMS)
    play(study, DIMS, 24)
    small = [trial for trial in study.best_trials if sum(trial.params.values()) <= 64]
    best = max(small, key=lambda trial: trial.values[0])
    assert best.params["dim a"] == 4
    assert best.params["dim d"] >= 16


def test_a_choice_that_another_process_works_on_is_not_drawn() -> None:
    one = {"dim a": CategoricalDistribution((4, 8))}
    study = study_of(one)  # type: ignore[arg-type]  # a dict of one kind of distribution
    first = study.ask(one)  # type: ignore[arg-type]
    first.set_user_attr(WORKER, {})
    assert study.ask(one).params != first.params  # type: ignore[arg-type]


@pytest.mark.slow
def test_numbers_of_a_range_and_a_trial_that_failed_are_no_obstacle() -> None:
    space: dict[str, BaseDistribution] = {"lr": FloatDistribution(1e-3, 1e-1, log=True), **DIMS}
    study = study_of(space)
    for _ in range(8):
        trial = study.ask(space)
        trial.set_user_attr(WORKER, {})
        trial.set_user_attr(BYTES, 10)
        if trial.number % 2:
            trial.set_user_attr("reason", "diverged")
            study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr(AUC, 0.5)
            study.tell(trial, [0.5, 10])
    assert study.ask(space).params.keys() == space.keys()
