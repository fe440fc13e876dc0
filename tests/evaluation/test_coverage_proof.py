"""95 % intervals hold the truth in 95 % of test sets: of figures and of paired differences, plain and weighted."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import binom

from recsys.evaluation import METRICS, Predictions, difference, interval
from recsys.evaluation.reliability import expected_calibration_error
from recsys.evaluation.ties import shared_orders

SETS, GROUPS, POPULATION = 500, 250, 40_000
OF_ROWS = ("auc", "logloss", "ne", "calibration", "average_precision", "brier_score")
OF_GROUPS = ("gauc", "ndcg_10", "recall_10")
PROMISED = ("auc", "logloss", "gauc")
BY_CHANCE = tuple(binom.ppf([0.001, 0.999], SETS, 0.95) / SETS)
"""Shares between which 998 of 1,000 simulations lie where the true coverage is 95 %: .918 and .978."""


class Pair(NamedTuple):
    """Two models on the same rows."""

    first: Predictions
    second: Predictions


def draw(seed: int, groups: int, *, by_group: bool, weighted: bool) -> Pair:
    """Draw groups of 12 rows on average; with `by_group`, the rows of a group have something in common."""
    generator = np.random.default_rng(seed)
    size = 4 + generator.geometric(1 / 8, groups)
    group = np.repeat(np.arange(groups), size)
    common = generator.normal(0, 0.8 * by_group, groups)[group]
    signal, noise = generator.normal(size=(2, len(group)))
    logit = -1.5 + common + signal
    label = (generator.random(len(group)) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    weight = np.where(generator.random(len(group)) < 1 / (1 + np.exp(-signal)), 2.0, 0.5) if weighted else None
    scores = [1 / (1 + np.exp(-(bias + slope * logit + blur * noise))) for bias, slope, blur in MODELS]
    first, second = (Predictions(label, score, weight, group, "drawn") for score in scores)
    return Pair(first, second)


MODELS = ((0.1, 0.9, 0.3), (-0.1, 0.8, 0.5))
"""Two models that are a little off: bias, slope and noise of their logits."""


def figures(rows: Predictions, names: tuple[str, ...]) -> dict[str, tuple[float, np.ndarray]]:
    arguments = (rows.score, rows.label, rows.weight, rows.group)
    with shared_orders([rows.score, rows.group]):
        return {
            name: (METRICS[name].compute(name, *arguments)[name], METRICS[name].compute_influence(name, *arguments))
            for name in names
        }


def coverage(names: tuple[str, ...], *, by_group: bool, weighted: bool) -> dict[str, float]:
    """Return the share of test sets whose intervals hold the figures of a population 160 times as large."""
    options = {"by_group": by_group, "weighted": weighted}
    truth = [figures(rows, names) for rows in draw(10**6, POPULATION, **options)]
    held: Counter[str] = Counter()
    for seed in range(SETS):
        first, second = (figures(rows, names) for rows in draw(seed, GROUPS, **options))
        for name in names:
            found = interval(*first[name], scale=METRICS[name].scale)
            held[name] += found.low <= truth[0][name][0] <= found.high
            apart = difference(first[name][0], second[name][0], first[name][1], second[name][1])
            held[f"difference of {name}"] += apart.low <= truth[0][name][0] - truth[1][name][0] <= apart.high
    return {name: held[name] / SETS for name in sorted(held)}


@pytest.mark.proof
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(("names", "by_group"), [(OF_ROWS, False), (OF_GROUPS, True)], ids=["rows", "groups"])
def test_intervals_hold_the_truth_in_95_of_100_test_sets(
    names: tuple[str, ...], by_group: bool, weighted: bool
) -> None:
    found = coverage(names, by_group=by_group, weighted=weighted)
    for name, share in found.items():
        print(f"{'weighted' if weighted else 'plain':9} {name:34} {share:.1%}")
    for name, share in found.items():
        promised = name.removeprefix("difference of ") in PROMISED
        low, high = (0.93, 0.97) if promised else BY_CHANCE
        assert low <= share <= high, name


@pytest.mark.proof
@pytest.mark.parametrize("off", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_the_interval_of_the_ece_holds_the_truth_in_at_least_93_of_100_test_sets(off: float) -> None:
    """Of probabilities that are right, where the value is above the truth by chance alone, and of others."""

    def drawn(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        logit = generator.normal(-1.5, 1, rows)
        return 1 / (1 + np.exp(-logit - off)), (generator.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)

    truth = expected_calibration_error(*drawn(10**6, 2_000_000)).value if off else 0.0
    found = [expected_calibration_error(*drawn(seed, 3000)) for seed in range(SETS)]
    share = np.mean([one.low <= truth <= one.high for one in found])
    mean = np.mean([one.value for one in found])
    print(f"ECE, logits off by {off}: truth {truth:.4f}, mean value {mean:.4f}, {share:.1%}")
    assert share >= 0.93
