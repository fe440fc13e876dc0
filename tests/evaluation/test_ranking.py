from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

from recsys.evaluation import auc, gauc, rela_impr
from recsys.evaluation.ranking import NO_GROUP, gauc_figures
from recsys.features.fingerprint import NULL_KEY


def brute_auc(score, label, weight=None):
    """Compare every pair."""
    score, label = np.asarray(score, dtype=float), np.asarray(label, dtype=float)
    weight = np.ones(len(score)) if weight is None else np.asarray(weight, dtype=float)
    above = (score[:, None] > score[None, :]) + 0.5 * (score[:, None] == score[None, :])
    pairs = (weight * label)[:, None] * (weight * (1 - label))[None, :]
    return float((above * pairs).sum() / pairs.sum()) if pairs.sum() else float("nan")


def brute_gauc(score, label, group, weight=None):
    """Loop over the groups."""
    score, label, group = np.asarray(score), np.asarray(label), np.asarray(group)
    weight = np.ones(len(score)) if weight is None else np.asarray(weight, dtype=float)
    total = value = 0.0
    for g in set(group.tolist()) - {NO_GROUP}:
        one = group == g
        if (found := brute_auc(score[one], label[one], weight[one])) == found:
            value += found * weight[one].sum()
            total += weight[one].sum()
    return value / total if total else float("nan")


def test_one_user_is_auc():
    score, label = [0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1]
    assert gauc(score, label, [7, 7, 7, 7]).value == auc(score, label) == 0.875


def test_a_user_with_one_class_is_left_out_and_counted():
    found = gauc([0.1, 0.9, 0.3, 0.2], [0, 1, 1, 1], [1, 1, 2, 2])
    assert found[:4] == (1.0, 1, 1, 2.0)


def test_monotone_maps_within_users_change_nothing():
    rng = np.random.default_rng(0)
    score, label, user = rng.integers(0, 9, 500) / 8, rng.random(500) < 0.3, rng.integers(0, 20, 500)
    moved = np.exp(score * (user + 1)) - 50 * user
    assert gauc(moved, label, user) == gauc(score, label, user)


def test_two_users_weighted_by_impressions():
    score = [0.2, 0.9] + [0.5] * 8
    found = gauc(score, [0, 1] + [0, 1] * 4, [1] * 2 + [2] * 8)
    assert found.value == pytest.approx(0.6, abs=1e-15)
    assert found.impressions_used == 10


@pytest.mark.parametrize(
    ("model", "base", "percent"),
    [
        (0.6083, 0.5970, 11.65),
        (0.6031, 0.5940, 9.68),
        (0.6029, 0.5970, 6.08),
        (0.7337, 0.7300, 1.61),
        (0.8698, 0.8624, 2.04),
        (0.8711, 0.8624, 2.40),
        (0.5, 0.7, -100.0),
    ],
)
def test_rela_impr_reproduces_the_published_percentages(model, base, percent):
    assert round(rela_impr(model, base), 2) == percent


def test_rela_impr_over_a_random_model_is_nan():
    assert np.isnan(rela_impr(0.6, 0.5))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_ties_count_half(dtype):
    assert auc(np.array([3, 3, 3, 3], dtype=dtype), [0, 1, 0, 1]) == 0.5
    assert auc(np.array([1, 3, 3], dtype=dtype), [0, 0, 1]) == 0.75


def test_negative_zero_equals_zero():
    assert auc(np.float32([-0.0, 0.0]), [0, 1]) == 0.5


def test_infinite_and_negative_scores_are_ordered():
    assert auc([-np.inf, -2.0, -1.0, 0.0, 1e-30, np.inf], [0, 0, 0, 1, 1, 1]) == 1.0
    assert auc(np.float32([-np.inf, -2.0, -1.0, 0.0, 1e-30, np.inf]), [0, 0, 1, 0, 1, 1]) == pytest.approx(8 / 9)


def test_scores_that_differ_only_in_float64_are_not_tied():
    assert auc([0.5, 0.5 + 1e-12], [0, 1]) == 1.0
    assert gauc([0.5, 0.5 + 1e-12, 0.1], [0, 1, 0], [3, 3, 4]).value == 1.0


@pytest.mark.parametrize("distinct", [3, 100, 10**6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_auc_agrees_with_scikit_learn(distinct, dtype, weighted):
    rng = np.random.default_rng(distinct)
    score = (rng.integers(0, distinct, 20_000) / distinct - 0.3).astype(dtype)
    label = rng.random(20_000) < 0.05 + 0.2 * (score > 0.1)
    weight = rng.integers(0, 5, 20_000) * rng.random(20_000) if weighted else None
    assert_allclose(auc(score, label, weight), roc_auc_score(label, score, sample_weight=weight), rtol=1e-12)


rows = st.lists(
    st.tuples(
        st.sampled_from([-2.5, -1.0, -0.0, 0.0, 0.1, 1 / 3, 0.5, 1e30]),
        st.sampled_from([0, 1]),
        st.sampled_from([0.0, 0.25, 1.0, 3.5]),
        st.sampled_from([-(2**63), -1, 0, 5, 2**62]),
    ),
    min_size=1,
    max_size=30,
)


@pytest.mark.slow
@settings(max_examples=200)
@given(rows)
def test_auc_is_the_share_of_pairs_in_order(rows):
    score, label, weight, _ = (np.array(column) for column in zip(*rows, strict=True))
    assert_allclose(auc(score, label), brute_auc(score, label), rtol=1e-14)
    assert_allclose(auc(score, label, weight), brute_auc(score, label, weight), rtol=1e-12)
    soft = 0.2 + 0.6 * label
    assert_allclose(auc(score, soft, weight), brute_auc(score, soft, weight), rtol=1e-12)


@pytest.mark.slow
@settings(max_examples=200)
@given(rows)
def test_gauc_is_the_mean_over_groups(rows):
    score, label, weight, group = (np.array(column) for column in zip(*rows, strict=True))
    for scores in (score, score.astype(np.float32)):
        found = gauc(scores, label, group)
        assert_allclose(found.value, brute_gauc(scores, label, group), rtol=1e-12)
        assert found.groups_used + found.groups_skipped == len(set(group.tolist()) - {NO_GROUP})
        assert found.rows_without_group == group.tolist().count(NO_GROUP)
        weighted = gauc(scores, label, group % 3, weight)
        assert_allclose(weighted.value, brute_gauc(scores, label, group % 3, weight), rtol=1e-12)


def test_gauc_takes_text_groups_of_any_range():
    score, label = [0.2, 0.7, 0.5, 0.5, 0.9], [0, 1, 0, 1, 1]
    expected = (0.75, 2, 1, 4.0, 0)
    assert gauc(score, label, ["ann", "ann", "bob", "bob", "eve"]) == expected
    assert gauc(score, label, np.array([1 - 2**63, 1 - 2**63, 2**63 - 1, 2**63 - 1, 0])) == expected
    assert gauc(score, label, np.array([2**64 - 1, 2**64 - 1, 0, 0, 2**63], dtype=np.uint64)) == expected
    assert gauc(score, label, np.array([-128, -128, 127, 127, 0], dtype=np.int8)) == expected


@pytest.mark.parametrize(
    "group",
    [
        np.array([7, 7, NO_GROUP, NO_GROUP, 8]),
        np.array([7.0, 7.0, np.nan, np.nan, 8.0]),
        np.array(["ann", "ann", None, None, "bob"], dtype=object),
    ],
)
def test_rows_without_a_group_are_no_group(group):
    """They would be a group with both classes, whose rows a score need not rank."""
    found = gauc([0.2, 0.7, 0.5, 0.1, 0.9], [0, 1, 0, 1, 1], group, [1.0, 1.0, 5.0, 5.0, 1.0])
    assert found == (1.0, 1, 1, 2.0, 2)
    nobody = gauc([0.2, 0.7], [0, 1], group[2:4])
    assert np.isnan(nobody.value)
    assert nobody[1:] == (0, 0, 0.0, 2)


def test_the_key_of_null_in_prepared_data_is_no_group():
    assert NO_GROUP == NULL_KEY
    figures = gauc_figures([0.2, 0.7, 0.5], [0, 1, 0], [7, 7, NULL_KEY])
    assert figures == {"gauc": 1.0, "gauc_groups": 1.0, "gauc_skipped": 0.0, "gauc_rows_without_group": 1.0}


def test_weighted_gauc_keeps_its_digits_among_many_rows():
    rng = np.random.default_rng(1)
    score, label, weight = rng.random(200_000), rng.random(200_000) < 0.5, rng.random(200_000) * 1e6
    weight[-4:] = [0.1, 0.2, 0.3, 0.4]
    group = np.repeat([0, 1], [199_996, 4])
    label[-4:], score[-4:] = [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]
    small = (2 * 1 + 4 * 4) / (6 * 4)
    big = auc(score[:-4], label[:-4], weight[:-4])
    share = weight[:-4].sum() / weight.sum()
    assert_allclose(gauc(score, label, group, weight).value, big * share + small * (1 - share), rtol=1e-12)
    only_small = gauc(score, label & (group == 1), group, weight)
    assert only_small.groups_skipped == 1
    assert_allclose(only_small.value, small, rtol=1e-7)  # 1e-4 off when summed in float64


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(2)
    score, label, group = rng.integers(0, 50, 5000) / 50, rng.random(5000) < 0.2, rng.integers(0, 99, 5000)
    mixed = rng.permutation(5000)
    assert auc(score, label) == auc(score[mixed], label[mixed])
    assert gauc(score, label, group) == gauc(score[mixed], label[mixed], group[mixed])


def test_auc_of_the_negated_score_is_the_complement():
    score, label = np.array([0.3, 0.1, 0.3, 0.9, 0.2]), np.array([1, 0, 0, 1, 1])
    assert auc(score, label) + auc(-score, label) == 1.0


def test_soft_labels_are_a_positive_and_a_negative_part():
    split = auc([0.2, 0.2, 0.6, 0.6], [1, 0, 1, 0], [0.25, 0.75, 0.5, 0.5])
    assert auc([0.2, 0.6], [0.25, 0.5]) == pytest.approx(split, abs=1e-15)


def test_a_row_of_weight_two_is_two_rows():
    assert auc([0.1, 0.5, 0.3], [0, 0, 1], [1, 2, 1]) == auc([0.1, 0.5, 0.5, 0.3], [0, 0, 0, 1])


@pytest.mark.parametrize("label", [[0, 0], [1, 1]])
def test_one_class_only_has_no_auc(label):
    assert np.isnan(auc([0.1, 0.2], label))
    assert np.isnan(auc([0.1, 0.2], [0, 1], [1.0, 0.0]))
    assert np.isnan(gauc([0.1, 0.2], label, [1, 1]).value)


def test_no_rows_have_no_auc():
    assert np.isnan(auc([], []))
    assert gauc([], [], []).groups_used == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1, np.nan, np.nan], [0, 1, 1]), r"score: must not be NaN, got nan in row 1; 2 of 3 values are wrong"),
        (([0.1, 0.2], [0, 2]), r"label: must be between 0 and 1, got 2.0 in row 1"),
        (([0.1, 0.2], [0, np.nan]), r"label: must be between 0 and 1, got nan in row 1"),
        (([0.1, 0.2], [0, 1], [1, -1]), r"weight: must be finite, at least 0, .* got -1.0 in row 1"),
        (([0.1, 0.2], [0, 1], [1, 1e300]), r"weight: must be .*, and not beyond float32, got 1e\+300 in row 1"),
        (([0.1, 0.2], [0, 1], [1, np.inf]), r"weight: must be finite"),
        (([0.1, 0.2], [0]), r"label: must have shape \(2,\), as score has, got shape \(1,\)"),
        (([[0.1, 0.2]], [0]), r"score: must have one dimension, got shape \(1, 2\)"),
    ],
)
def test_arrays_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        auc(*arguments)


def test_groups_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"group: must have shape \(2,\)"):
        gauc([0.1, 0.2], [0, 1], [1])


def test_inputs_are_not_changed():
    score, label, group = np.float32([0.5, -0.0]), np.array([0, 1]), np.array([3, 3])
    gauc(score, label, group)
    assert score.tolist() == [0.5, 0.0]
    assert np.signbit(score[1])
    assert group.tolist() == [3, 3]
    assert all(a < b for a, b in pairwise(label.tolist()))
