"""Influence values against what they stand for: the change of a metric when a row gains or loses weight."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recsys.evaluation import METRICS
from recsys.evaluation.ranking import NO_GROUP, gauc, gauc_influence

WITH_INFLUENCE = [name for name, metric in METRICS.items() if metric.influence is not None]


def example(rows=60, kind="hard"):
    """Tied probabilities, labels of a kind, weights and groups of several rows."""
    generator = np.random.default_rng(2)
    probability = np.round(generator.uniform(0.02, 0.98, rows), 1 if kind == "tied" else 6)
    label = (generator.random(rows) < probability).astype(np.float64)
    if kind == "soft":
        label = generator.random(rows)
    return probability, label, generator.integers(0, 6, rows), generator.uniform(0.5, 2, rows)


def value(name, probability, label, group, weight):
    return METRICS[name].compute(name, probability, label, weight, group)[name]


@pytest.mark.parametrize("kind", ["hard", "tied", "soft"])
@pytest.mark.parametrize("name", WITH_INFLUENCE)
def test_it_is_the_derivative_of_the_metric_in_the_weight_of_a_row(name, kind):
    probability, label, group, weight = example(kind=kind)
    influence = METRICS[name].compute_influence(name, probability, label, weight, group)
    step = 1e-6
    slopes = np.zeros(len(weight))
    for row in range(len(weight)):
        more, less = weight.copy(), weight.copy()
        more[row], less[row] = more[row] + step, less[row] - step
        ends = [value(name, probability, label, group, one) for one in (more, less)]
        slopes[row] = weight[row] * (ends[0] - ends[1]) / (2 * step)
    if METRICS[name].needs_group:  # one value for each group
        slopes, influence = np.bincount(group, slopes), np.bincount(group, influence)
    ratio = influence @ slopes / (slopes @ slopes)  # makes up for small samples
    assert 1 < ratio < (1.15 if METRICS[name].needs_group else 1.03)
    assert_allclose(influence, ratio * slopes, atol=5e-3 * np.abs(influence).max())


def test_groups_that_are_left_out_have_none():
    probability, label, group, weight = example()
    influence = gauc_influence(probability, label, group, weight)
    label[group == 2] = 1
    more = np.append(probability, 0.5), np.append(label, 1), np.append(group, NO_GROUP), np.append(weight, 9)
    found = gauc_influence(*more)
    assert gauc(*more).groups_skipped == 1
    assert found[-1] == 0
    assert (found[:-1][group == 2] == 0).all()
    assert np.count_nonzero(found) == 5 == np.count_nonzero(influence) - 1


def test_the_value_of_a_group_stands_at_its_first_row_whatever_the_scores():
    probability, label, group, weight = example()
    first = np.unique(group, return_index=True)[1]
    for score in (probability, 1 - probability, np.float32(probability)):
        assert_array_equal(np.flatnonzero(gauc_influence(score, label, group, weight)), np.sort(first))


@pytest.mark.parametrize("name", WITH_INFLUENCE)
@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_too_few_rows_have_no_influence_that_is_known(name, rows):
    probability, label, group, weight = (values[:rows] for values in example())
    found = METRICS[name].compute_influence(name, probability, label, weight, group)
    assert len(found) == rows
    assert rows > 1 or np.isnan(found).all()
    zero = METRICS[name].compute_influence(name, probability, label, np.zeros(rows), group)
    assert np.isnan(zero).all()
