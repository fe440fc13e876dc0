import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recsys.evaluation import (
    auc,
    auc_difference,
    auc_interval,
    difference,
    interval,
    rela_impr,
    rela_impr_interval,
)
from recsys.evaluation.ranking import auc_influence


def structural_components(score, label):
    """DeLong's V10 (per positive) and V01 (per negative), from every pair."""
    positive, negative = score[label == 1], score[label == 0]
    psi = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return psi.mean(axis=1), psi.mean(axis=0)


def example(rows=300):
    rng = np.random.default_rng(3)
    label = (rng.random(rows) < 0.3).astype(int)
    a = np.round(rng.normal(size=rows) + label, 1)
    b = np.round(0.5 * a + rng.normal(size=rows) + 0.3 * label, 1)
    return a, b, label


def test_interval_is_that_of_the_definition():
    a, _, label = example()
    v10, v01 = structural_components(a, label)
    margin = 1.959963984540054 * math.sqrt(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))
    assert_allclose(auc_interval(a, label), [v10.mean(), v10.mean() - margin, v10.mean() + margin], rtol=1e-12)


def test_difference_is_that_of_the_definition():
    a, b, label = example()
    (a10, a01), (b10, b01) = structural_components(a, label), structural_components(b, label)
    variance = (a10 - b10).var(ddof=1) / len(a10) + (a01 - b01).var(ddof=1) / len(a01)
    found = auc_difference(a, b, label)
    assert found.value == pytest.approx(auc(a, label) - auc(b, label), abs=1e-14)
    assert found.high - found.low == pytest.approx(2 * 1.959963984540054 * math.sqrt(variance), rel=1e-12)
    z = found.value / math.sqrt(variance)
    assert found.p_value == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-9)


def test_hand_example():
    # positives 1, 3 against negatives 0, 2: V10 = (1/2, 1), V01 = (1, 1/2)
    found = auc_interval([1, 3, 0, 2], [1, 1, 0, 0])
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - 1.959963984540054 * math.sqrt(0.125 / 2 + 0.125 / 2))
    assert found.high == 1.0


def test_the_interval_holds_the_truth_19_times_in_20():
    rng = np.random.default_rng(4)
    truth = 0.5 * math.erfc(-0.5)  # two normals, one standard deviation apart
    label = np.arange(400) < 100
    found = [auc_interval(rng.normal(size=400) + label, label) for _ in range(1000)]
    assert 0.93 < np.mean([low <= truth <= high for _, low, high in found]) < 0.97


def test_equally_good_models_differ_significantly_1_time_in_20():
    rng = np.random.default_rng(5)
    label = np.arange(400) < 100
    signal = [rng.normal(size=400) + label for _ in range(1000)]
    p_values = [auc_difference(s + rng.normal(size=400), s + rng.normal(size=400), label).p_value for s in signal]
    assert 0.03 < np.mean(np.array(p_values) < 0.05) < 0.07


def test_pairing_finds_a_difference_that_the_two_intervals_hide():
    rng = np.random.default_rng(6)
    label = (rng.random(3000) < 0.2).astype(int)
    worse = rng.normal(size=3000) + label
    better = worse + 0.1 * label
    assert auc_interval(better, label).low < auc_interval(worse, label).high
    assert auc_difference(better, worse, label).p_value < 1e-6


def test_the_same_ranking_does_not_differ():
    a, _, label = example()
    assert auc_difference(a, np.exp(a), label) == (0.0, 0.0, 0.0, 1.0)


def test_one_class_or_one_positive_has_no_interval():
    assert all(math.isnan(value) for value in auc_interval([0.1, 0.2], [1, 1]))
    assert auc_interval([0.1, 0.2, 0.3], [0, 0, 1])[0] == 1.0
    assert math.isnan(auc_interval([0.1, 0.2, 0.3], [0, 0, 1]).low)
    assert math.isnan(auc_difference([0.1, 0.2], [0.2, 0.1], [0, 0]).value)
    assert math.isnan(auc_difference([0.1, 0.2, 0.3], [0.2, 0.1, 0.3], [0, 0, 1]).p_value)


def test_only_rows_with_a_weight_are_counted() -> None:
    a, _, label = example()
    more = np.append(a, [5.0, -5.0]), np.append(label, [0, 1]), np.append(np.ones(len(a)), [0, 0])
    assert_allclose(auc_interval(*more), auc_interval(a, label), rtol=1e-12)
    assert math.isnan(auc_interval([0.1, 0.4, 0.2, 0.3], [0, 1, 0, 1], [1, 1, 1, 0]).low)


def test_soft_labels_are_part_of_a_positive_and_part_of_a_negative() -> None:
    a, b, label = example()
    hard = label.astype(np.float64)
    assert_allclose(auc_interval(a, np.append(hard[1:], 0.5)), auc_interval(a, np.append(hard[1:], 0)), atol=0.02)
    assert_allclose(auc_difference(a, b, label, np.full(len(a), 3)), auc_difference(a, b, label), rtol=1e-9)


def test_an_interval_is_cut_at_the_ends_of_its_scale() -> None:
    influence = np.array([0.5, -0.5])
    assert interval(0.2, influence).low == 0.0
    assert interval(0.2, influence, scale=(-math.inf, math.inf)).low < 0
    assert difference(0.9, 0.1, influence, -influence, scale=(-1, 1)).high == 1.0


def test_the_interval_of_a_relative_improvement_is_that_of_many_draws() -> None:
    a, b, label = example(1000)
    found = rela_impr_interval(auc(a, label), auc(b, label), auc_influence(a, label), auc_influence(b, label))
    rng = np.random.default_rng(1)
    drawn = (rng.integers(0, len(label), len(label)) for _ in range(500))
    values = [rela_impr(auc(a[rows], label[rows]), auc(b[rows], label[rows])) for rows in drawn]
    assert found.value == rela_impr(auc(a, label), auc(b, label))
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(values), rel=0.15)
    assert math.isnan(rela_impr_interval(0.7, 0.5, np.zeros(2), np.zeros(2)).low)


def test_a_value_without_influence_has_no_interval() -> None:
    unknown = np.full(2, np.nan)
    assert_array_equal(interval(0.2, unknown), (0.2, np.nan, np.nan))
    assert_array_equal(difference(0.5, 0.25, unknown, np.zeros(2)), (0.25, np.nan, np.nan, np.nan))
