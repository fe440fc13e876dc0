"""Every figure against an implementation that has nothing in common with it, on random, weighted and tied rows."""

import math
import warnings
from itertools import permutations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from recsys.evaluation import evaluate
from recsys.evaluation.precision import average_precision
from recsys.evaluation.probability import calibration_curve
from recsys.evaluation.reliability import brier, brier_score, expected_calibration_error
from recsys.evaluation.top import ndcg, recall

SEEDS = range(4)
ONE = 1e-9


def draw(seed, rows=500, kind="weighted"):
    """Probabilities, labels, weights (some of them 0) and groups; tied probabilities with odd seeds."""
    generator = np.random.default_rng(seed)
    probability = generator.beta(1, 4, rows)
    label = (generator.random(rows) < probability).astype(np.int64)
    weight = None if kind == "plain" else generator.choice([0.0, 0.5, 1.0, 2.7], rows)
    return np.round(probability, 2 if seed % 2 else 9), label, weight, generator.integers(0, 25, rows)


KINDS = pytest.mark.parametrize("kind", ["plain", "weighted"])
SEED = pytest.mark.parametrize("seed", SEEDS)


@KINDS
@SEED
def test_figures_of_all_rows_are_those_of_scikit_learn(seed, kind):
    probability, label, weight, group = draw(seed, kind=kind)
    found = evaluate(probability, label, weight, group)
    logloss = sklearn_metrics.log_loss(label, probability.clip(2.3e-16, 1 - 2.3e-16), sample_weight=weight)
    rate = np.average(label, weights=weight)
    expected = {
        "auc": sklearn_metrics.roc_auc_score(label, probability, sample_weight=weight),
        "average_precision": sklearn_metrics.average_precision_score(label, probability, sample_weight=weight),
        "brier_score": sklearn_metrics.brier_score_loss(label, probability, sample_weight=weight),
        "logloss": logloss,
        "ne": logloss / sklearn_metrics.log_loss(label, np.full(len(label), rate), sample_weight=weight),
        "calibration": np.average(probability, weights=weight) / rate,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=ONE), name


@KINDS
@SEED
def test_figures_of_groups_are_those_of_each_group_alone(seed, kind):
    probability, label, weight, group = draw(seed, kind=kind)
    found = evaluate(probability, label, weight, group)
    aucs, ndcgs, impressions, means = [], [], [], []
    for user in range(25):
        rows = (group == user) & (True if weight is None else weight > 0)
        if 0 < label[rows].sum() < rows.sum():
            mass = np.ones(rows.sum()) if weight is None else weight[rows]
            aucs.append(sklearn_metrics.roc_auc_score(label[rows], probability[rows], sample_weight=mass))
            impressions.append(mass.sum())
            ndcgs.append(sklearn_metrics.ndcg_score([label[rows]], [probability[rows]], k=10))
            means.append(mass.mean())
    assert found["gauc"] == pytest.approx(np.average(aucs, weights=impressions), abs=ONE)
    assert len(ndcgs) == found["ndcg_10_groups"]
    assert found["ndcg_10"] == pytest.approx(np.average(ndcgs, weights=means), abs=ONE)


def mean_over_orders(score, label, figure):
    """The mean of a figure of labels in a list, over all orders of rows that the scores allow."""
    orders = [order for order in permutations(range(len(score))) if (np.diff(score[list(order)]) <= 0).all()]
    return np.mean([figure(label[list(order)]) for order in orders])


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("soft", [False, True])
def test_ties_of_lists_count_as_the_mean_over_their_orders(k, soft):
    generator = np.random.default_rng(k)
    score, label = generator.integers(0, 3, 6) / 4, generator.integers(0, 2, 6).astype(float)
    label[0] = 1
    label = label * generator.random(6) if soft else label
    discount = 1 / np.log2(np.arange(2, 8)) * (np.arange(6) < k)
    best = np.sort(label)[::-1] @ discount
    one = np.zeros(6, np.int64)
    expected = mean_over_orders(score, label, lambda ordered: ordered @ discount / best)
    assert ndcg(score, label, one, k=k).value == pytest.approx(expected, abs=ONE)
    expected = mean_over_orders(score, label, lambda ordered: ordered[:k].sum() / label.sum())
    assert recall(score, label, one, k=k).value == pytest.approx(expected, abs=ONE)


@KINDS
@SEED
def test_recall_is_the_share_of_positives_in_the_first_rows(seed, kind):
    probability, label, weight, group = draw(2 * (seed // 2), kind=kind)  # no ties
    shares, means = [], []
    for user in range(25):
        rows = np.flatnonzero((group == user) & (True if weight is None else weight > 0))
        rows = rows[np.argsort(-probability[rows])]
        if label[rows].any():
            shares.append(label[rows][:10].sum() / label[rows].sum())
            means.append(1 if weight is None else weight[rows].mean())
    assert recall(probability, label, group, weight).value == pytest.approx(np.average(shares, weights=means), abs=ONE)


@KINDS
@SEED
@pytest.mark.parametrize("bins", [1, 7, 20, 1000])
def test_parts_of_the_brier_score_sum_exactly(seed, kind, bins):
    probability, label, weight, _ = draw(seed, kind=kind)
    soft = np.clip(label + probability, 0, 1) / 2
    for labels in (label, soft):
        found = brier(probability, labels, weight, bins=bins)
        assert found.reliability - found.resolution + found.uncertainty == pytest.approx(found.score, abs=1e-14)
        assert found.score == brier_score(probability, labels, weight)
        curve = calibration_curve(probability, labels, weight, bins=bins)
        reliability = np.average((curve.prediction - curve.label) ** 2, weights=curve.weight)
        assert found.reliability == pytest.approx(reliability, abs=1e-14)
    mean = np.average(label, weights=weight)
    assert brier(probability, label, weight).uncertainty == pytest.approx(mean * (1 - mean), abs=1e-14)


def test_parts_of_the_brier_score_are_murphys_where_bins_have_one_prediction():
    probability, label, weight, _ = draw(0)
    probability = np.round(probability, 1)
    parts = np.zeros(2)
    base = np.average(label, weights=weight)
    for value in np.unique(probability[weight > 0]):
        rows = probability == value
        mean, share = np.average(label[rows], weights=weight[rows]), weight[rows].sum() / weight.sum()
        parts += share * (value - mean) ** 2, share * (mean - base) ** 2
    found = brier(probability, label, weight, bins=500)
    assert (found.reliability, found.resolution) == pytest.approx(tuple(parts), abs=ONE)


@KINDS
@SEED
def test_the_expected_calibration_error_is_that_of_the_bins_of_the_curve(seed, kind):
    probability, label, weight, _ = draw(seed, kind=kind)
    curve = calibration_curve(probability, label, weight)
    expected = np.average(np.abs(curve.prediction - curve.label), weights=curve.weight)
    found = expected_calibration_error(probability, label, weight)
    assert found.value == pytest.approx(expected, abs=ONE)
    assert 0 <= found.low <= found.value <= found.high


def test_bins_of_equal_mass_without_ties_are_slices_of_the_sorted_rows():
    probability, label, _, _ = draw(0, kind="plain")
    order = np.argsort(probability)
    apart = [abs(probability[rows].mean() - label[rows].mean()) for rows in np.split(order, 20)]
    assert expected_calibration_error(probability, label).value == pytest.approx(np.mean(apart), abs=ONE)


DEGENERATE = {
    "one class": ([0.2, 0.4, 0.9], [1, 1, 1], None, [1, 1, 2]),
    "the other class": ([0.2, 0.4, 0.9], [0, 0, 0], None, [1, 1, 2]),
    "one group": ([0.2, 0.4, 0.9, 0.3], [1, 0, 1, 0], None, [1, 1, 1, 1]),
    "one row": ([0.2], [1], None, [1]),
    "one row of the other class": ([0.2], [0], None, [1]),
    "no rows": ([], [], None, []),
    "zero weights": ([0.2, 0.4, 0.9, 0.3], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 2, 2]),
    "one row with a weight": ([0.2, 0.4, 0.9, 0.3], [1, 0, 1, 0], [0, 0, 3, 0], [1, 1, 2, 2]),
    "equal scores": ([0.5] * 6, [1, 0, 1, 0, 1, 0], None, [1, 1, 1, 2, 2, 2]),
    "equal scores with weights": ([0.5] * 6, [1, 0, 1, 0, 1, 0], [1, 2, 3, 4, 5, 6], [1, 1, 1, 2, 2, 2]),
    "certain and right": ([0.0, 1.0, 0.0, 1.0], [0, 1, 0, 1], None, [1, 1, 2, 2]),
    "certain and wrong": ([0.0, 1.0, 0.0, 1.0], [1, 0, 1, 0], None, [1, 1, 2, 2]),
    "no groups": ([0.2, 0.4, 0.9], [1, 0, 1], None, [-(2**63)] * 3),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_rows_that_say_little_give_figures_or_nan_without_a_warning(name):
    probability, label, weight, group = DEGENERATE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(np.array(probability, float), np.array(label), weight, np.array(group, np.int64))
    for figure in found:
        if figure.endswith(("_low", "_high")):
            metric = figure.rpartition("_")[0]
            assert found[f"{metric}_low"] <= found[metric] <= found[f"{metric}_high"], figure
    defined = {figure for figure, value in found.items() if not math.isnan(value)}
    if name in ("no rows", "zero weights"):
        assert not {"auc", "logloss", "brier_score", "ece", "ndcg_10", "average_precision"} & defined
    elif name != "no groups":
        assert {"logloss", "brier_score", "ece", "brier_score_resolution"} <= defined


def test_equal_scores_are_worth_as_much_as_chance():
    probability, label, weight, group = DEGENERATE["equal scores with weights"]
    found = evaluate(probability, label, weight, group)
    assert found["auc"] == found["gauc"] == 0.5
    assert found["average_precision"] == pytest.approx(np.average(label, weights=weight))
    assert found["brier_score_resolution"] == pytest.approx(0, abs=1e-15)


def test_float32_scores_without_ties_give_the_figures_of_float64():
    probability, label, weight, group = draw(0)
    probability = np.unique(probability.astype(np.float32))
    label, weight, group = label[: len(probability)], weight[: len(probability)], group[: len(probability)]
    narrow, wide = (evaluate(score, label, weight, group) for score in (probability, probability.astype(np.float64)))
    assert narrow == pytest.approx(wide, abs=ONE)


def test_average_precision_by_hand():
    assert average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([0.5, 0.5, 0.5, 0.5], [0, 0, 0, 1]) == 0.25
    assert math.isnan(average_precision([0.5, 0.25], [0, 0]))


@pytest.mark.parametrize("call", [ndcg, recall])
def test_a_list_has_at_least_one_row(call):
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        call([0.5], [1], [1], k=0)
