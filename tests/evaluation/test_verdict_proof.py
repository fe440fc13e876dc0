"""Simulations of the verdict: how often equal models are called different, and unequal ones told apart."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom

from recsys.evaluation.paired import difference_of, figure_of
from recsys.evaluation.predictions import Predictions
from recsys.evaluation.verdict import holm, verdict

pytestmark = pytest.mark.proof

PAIRS = 1000
MOST = 0.06
"""Share of equal pairs that may be called different."""
LEAST_BY_CHANCE, MOST_BY_CHANCE = binom.ppf([0.001, 0.999], PAIRS, 0.05) / PAIRS
"""Shares between which 998 of 1,000 simulations lie where the true rate is 5 %: .030 and .073."""
GROUP_ROWS = 20
METRICS = ("auc", "logloss", "gauc")


def predictions(label: npt.NDArray[np.bool_], logit: npt.NDArray[np.float64]) -> Predictions:
    group = np.arange(len(label)) // GROUP_ROWS
    return Predictions(label=label, score=1 / (1 + np.exp(-logit)), weight=None, group=group, source="simulated")


def rows(rng: np.random.Generator, number: int, *, features: int = 8) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """Return labels, true logits and features; rows of a group share a part of their logit."""
    shared = np.repeat(rng.normal(0, 0.7, -(-number // GROUP_ROWS)), GROUP_ROWS)[:number]
    logit = shared - 1 + rng.normal(0, 1, number)
    label = rng.random(number) < 1 / (1 + np.exp(-logit))
    return label, logit, rng.normal(size=(number, features))


def trained(rng: np.random.Generator, logit: npt.NDArray, features: npt.NDArray, luck: float) -> npt.NDArray:
    """Return what a model predicts: each training weighs the features, which say nothing, in its own way."""
    noise = features @ rng.normal(0, luck, features.shape[1]) + rng.normal(0, 0.3, len(logit))
    return np.asarray(0.9 * logit + noise)


def share_of_alarms(words: Iterator[Sequence[str]]) -> npt.NDArray[np.float64]:
    return np.mean([[word != "undecided" for word in one] for one in words], axis=0)


def test_equal_models_are_called_different_in_at_most_six_percent_of_pairs() -> None:
    """Two equal models differ by what they learnt by chance on the rows that are tested."""

    def words() -> Iterator[list[str]]:
        rng = np.random.default_rng(0)
        for _ in range(PAIRS):
            label, logit, _ = rows(rng, 2000)
            pair = [[{"": predictions(label, 0.9 * logit + rng.normal(0, 0.6, len(logit)))}] for _ in range(2)]
            found = [difference_of(*(figure_of(seeds, metric) for seeds in pair)) for metric in METRICS]
            yield [verdict(metric, one, rows=2000).word for metric, one in zip(METRICS, found, strict=True)]

    alarms = share_of_alarms(words())
    shown = ", ".join(f"{metric} {alarm:.3f}" for metric, alarm in zip(METRICS, alarms, strict=True))
    print(
        f"\nfalse alarms over {PAIRS} pairs of equal models, 2,000 rows: {shown}; demanded: at most {MOST}; "
        f"by chance at a true rate of 5 %: {LEAST_BY_CHANCE} to {MOST_BY_CHANCE}"
    )
    assert alarms[0] <= MOST
    assert max(alarms) <= MOST_BY_CHANCE
    assert min(alarms) >= LEAST_BY_CHANCE


@pytest.mark.parametrize("luck", [0.02, 0.1], ids=["rows dominate", "seeds dominate"])
@pytest.mark.parametrize("seeds", [(3, 3), (5, 3)], ids=str)
def test_over_seeds_equal_recipes_are_called_different_in_few_cases(seeds: tuple[int, int], luck: float) -> None:
    """Trainings of one recipe differ in how good they are, so that without the seeds they would be told apart."""

    def words() -> Iterator[list[str]]:
        rng = np.random.default_rng(1)
        for _ in range(PAIRS):
            label, logit, features = rows(rng, 2000)
            pair = [
                [{"": predictions(label, trained(rng, logit, features, luck))} for _ in range(number)]
                for number in seeds
            ]
            figures = [figure_of(of, "auc") for of in pair]
            single = [figure_of(of[:1], "auc") for of in pair]
            yield [verdict("auc", difference_of(*both), rows=2000).word for both in (figures, single)]

    over_seeds, of_one = share_of_alarms(words())
    print(f"\nfalse alarms over seeds {seeds}, luck {luck}: {over_seeds:.3f}; with one seed of each: {of_one:.3f}")
    assert over_seeds <= MOST


def test_of_several_equal_models_one_is_called_better_in_at_most_six_percent_of_cases() -> None:
    def words() -> Iterator[list[str]]:
        rng = np.random.default_rng(2)
        for _ in range(PAIRS):
            label, logit, _ = rows(rng, 1000)
            models = [[{"": predictions(label, 0.9 * logit + rng.normal(0, 0.6, 1000))}] for _ in range(4)]
            figures = [figure_of(seeds, "auc") for seeds in models]
            p_values = [difference_of(*pair).p_value for pair in combinations(figures, 2)]
            yield ["better" if min(p) < 0.05 else "undecided" for p in (holm(p_values), p_values)]

    corrected, as_they_are = share_of_alarms(words())
    print(f"\nfalse alarms among 4 equal models: {corrected:.3f} with Holm's correction, {as_they_are:.3f} without")
    assert corrected <= MOST


@pytest.mark.parametrize("click_rate", [0.2, 0.03])
def test_a_difference_of_two_thousandths_is_told_as_often_as_its_standard_error_promises(click_rate: float) -> None:
    """Scores are normal within each class, so that the AUCs are known; those of the two models correlate by 0.9."""
    number, aucs, correlation = 100_000, (0.780, 0.778), 0.9
    shifts = [sqrt(2) * NormalDist().inv_cdf(auc) for auc in aucs]
    rng = np.random.default_rng(3)
    told, errors = [], []
    for _ in range(200):
        label = rng.random(number) < click_rate
        shared = sqrt(correlation) * rng.normal(size=number)
        own = sqrt(1 - correlation) * rng.normal(size=(2, number))
        models = [predictions(label, shift * label + shared + own[place]) for place, shift in enumerate(shifts)]
        found = difference_of(*(figure_of([{"": model}], "auc") for model in models))
        told.append(verdict("auc", found, rows=number).word == "better")
        errors.append(sqrt(found.variance))
    power, error = float(np.mean(told)), float(np.mean(errors))
    promised = NormalDist().cdf(0.002 / error - 1.96)
    rows_needed = number * (error * 2.8 / 0.002) ** 2
    print(
        f"\npower at a true AUC difference of .002, {number:,} rows, {click_rate:.0%} clicks: {power:.3f} (by the "
        f"standard error {promised:.3f}); four of five would need {rows_needed:,.0f} rows"
    )
    assert power == pytest.approx(promised, abs=0.1)
