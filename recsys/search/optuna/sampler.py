"""The sampler of a search: Gaussian processes over what was measured, which proposes no choice twice.

Optuna's `GPSampler`: one process models each objective, and the choice of the largest expected improvement of the front
is next (Daulton et al., "Differentiable expected hypervolume improvement", 2020). The AUC is close to a sum over tables
each with more of it for more columns, which a smooth model learns from far fewer trials than TPE.
DIFF: it sees the study as `_seen` shows it: widths are numbers and not names, bytes are their logarithm, trials that
were stopped have the AUC they reached, and those that failed the worst one.
DIFF: what is drawn for a trial depends on its number, the seed and the other trials alone, so that a search that was
stopped goes on as if it had not been, and processes that work on one study draw apart. Training again what was trained
would tell nothing, since the seed of a training is fixed, so a choice that was tried is drawn anew.
"""

import itertools
import math
import time
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from recsys.ranks.seeds import derive_seed
from recsys.search.optuna.attributes import AUC, BYTES, WORKER, is_finished

__all__ = ["UntriedSampler", "choice_key"]

STARTUP_TRIALS = 6
"""Finished trials before which choices are random; the first trials of a search are fixed anyway."""
ATTEMPTS = 16
"""Random draws until one is new; then what is left is listed."""
SETTLE_SECONDS = 10.0
"""Longest time to wait for the choices of trials that other processes have just begun."""
MOST_LISTED = 100_000
"""Size of a space that is listed as a whole to find what was not tried."""

Choice = dict[str, Any]


def choice_key(params: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what two equal choices have in common, whatever the order of their parameters."""
    return tuple(sorted((name, repr(value)) for name, value in params.items()))


class UntriedSampler(BaseSampler):
    """Draws a choice that no trial of the study has, as long as there is one.

    Args:
        distributions: of all parameters.
        seed: of the search.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution], seed: int) -> None:
        self.distributions = {name: one for name, one in distributions.items() if not one.single()}
        self.seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        return {} if "fixed_params" in trial.system_attrs else dict(self.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        others = _others_when_settled(study, trial)
        tried = {choice_key(self._free(other)) for other in others}
        finished = [other for other in others if is_finished(other) and self._free(other).keys() == search_space.keys()]
        if len(finished) >= STARTUP_TRIALS:
            proposed = self._propose(study, trial, others)
            if choice_key(proposed) not in tried:
                return proposed
        for attempt in range(ATTEMPTS):
            drawn = {name: self._random(study, trial, name, one, attempt) for name, one in search_space.items()}
            if choice_key(drawn) not in tried:
                return drawn
        return self._left(search_space, tried, trial) or drawn

    def _free(self, trial: FrozenTrial) -> Choice:
        """Return the parameters of a trial that a sampler chooses, or would have chosen."""
        params = trial.params or trial.system_attrs.get("fixed_params", {})
        return {name: value for name, value in params.items() if name in self.distributions}

    def _propose(self, study: Study, trial: FrozenTrial, others: list[FrozenTrial]) -> Choice:
        seed = derive_seed(self.seed, "trial", trial.number) % 2**32
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns that greenlet, which is optional, is missing
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = GPSampler(seed=seed, n_startup_trials=1)
        seen = optuna.create_study(directions=study.directions, sampler=sampler)
        seen.add_trials(self._seen(others, num_objectives=len(study.directions)))
        proposed = seen.ask({name: _as_number(one) for name, one in self.distributions.items()}).params
        return {name: _as_named(self.distributions[name], value) for name, value in proposed.items()}

    def _seen(self, others: list[FrozenTrial], *, num_objectives: int) -> list[FrozenTrial]:
        """Return the trials whose bytes are known, as the model is shown them."""
        numbers = {name: _as_number(one) for name, one in self.distributions.items()}
        worst = min(trial.user_attrs[AUC] for trial in others if AUC in trial.user_attrs)
        found = []
        for trial in others:
            free, done = self._free(trial), is_finished(trial)
            is_seen = done or trial.state == TrialState.RUNNING
            if not is_seen or free.keys() != numbers.keys() or BYTES not in trial.user_attrs:
                continue
            values = [trial.user_attrs.get(AUC, worst), math.log(max(trial.user_attrs[BYTES], 1))]
            seen = create_trial(
                state=TrialState.COMPLETE if done else TrialState.RUNNING,
                values=values[:num_objectives] if done else None,
                params={name: _as_shown(self.distributions[name], value) for name, value in free.items()},
                distributions=numbers,
            )
            for name, value in trial.constraints.items():
                seen.set_constraint(name, value)
            found.append(seen)
        return found

    def _random(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution, attempt: int = 0
    ) -> Any:
        seed = derive_seed(self.seed, "trial", trial.number, name, attempt) % 2**32
        return RandomSampler(seed=seed).sample_independent(study, trial, name, distribution)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value of a parameter that a fixed choice leaves open."""
        return self._random(study, trial, param_name, param_distribution)

    def _left(
        self, search_space: dict[str, BaseDistribution], tried: set[tuple[tuple[str, str], ...]], trial: FrozenTrial
    ) -> Choice:
        """Return one of the choices that are left of a small space; {} if none is, or it cannot be listed."""
        lists = [_values(distribution) for distribution in search_space.values()]
        if not all(lists) or math.prod(map(len, lists)) > MOST_LISTED:
            return {}
        choices = (dict(zip(search_space, values, strict=True)) for values in itertools.product(*lists))
        left = [choice for choice in choices if choice_key(choice) not in tried]
        return left[derive_seed(self.seed, "left", trial.number) % len(left)] if left else {}


def _others_when_settled(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """Return all other trials once those that were begun before this one have their choices.

    Two processes that draw at the same time would not see each other's choice, and could draw the same.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        others = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        begun = [one for one in others if one.number < trial.number and one.state == TrialState.RUNNING]
        if all(WORKER in one.user_attrs for one in begun) or time.monotonic() > deadline:
            return others
        time.sleep(0.05)


def _is_ordered(distribution: BaseDistribution) -> bool:
    """Say whether choices are ascending numbers, such as widths."""
    if not isinstance(distribution, CategoricalDistribution):
        return False
    numbers = [one for one in distribution.choices if isinstance(one, int | float) and not isinstance(one, bool)]
    return len(numbers) == len(distribution.choices) and numbers == sorted(numbers)


def _as_number(distribution: BaseDistribution) -> BaseDistribution:
    """Return the places of ascending choices in their list; other distributions as they are."""
    if not _is_ordered(distribution):
        return distribution
    assert isinstance(distribution, CategoricalDistribution)
    return IntDistribution(0, len(distribution.choices) - 1)


def _as_shown(distribution: BaseDistribution, value: Any) -> Any:
    if not _is_ordered(distribution):
        return value
    assert isinstance(distribution, CategoricalDistribution)
    return distribution.choices.index(value)


def _as_named(distribution: BaseDistribution, shown: Any) -> Any:
    if not _is_ordered(distribution):
        return shown
    assert isinstance(distribution, CategoricalDistribution)
    return distribution.choices[shown]


def _values(distribution: BaseDistribution) -> list[Any]:
    """Return all values of a parameter; [] if they cannot be listed."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution) and distribution.high - distribution.low <= MOST_LISTED:
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    return []
