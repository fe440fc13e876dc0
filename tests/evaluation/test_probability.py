import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import log_loss

from recsys.evaluation import calibration, calibration_curve, logloss, normalised_entropy


@pytest.mark.parametrize("weighted", [False, True])
def test_logloss_agrees_with_scikit_learn(weighted):
    rng = np.random.default_rng(0)
    probability, label = rng.random(5000) ** 6, rng.random(5000) < 0.2
    probability[:2] = [0.0, 1.0]
    weight = rng.random(5000) if weighted else None
    assert_allclose(logloss(probability, label, weight), log_loss(label, probability, sample_weight=weight), rtol=1e-12)


def test_a_certain_and_wrong_prediction_costs_36_nats():
    assert logloss([1.0], [0]) == pytest.approx(-math.log(2**-52))
    assert logloss(np.float32([0.0]), [1]) == pytest.approx(-math.log(2**-52))


def test_logloss_of_soft_labels_is_the_cross_entropy():
    assert logloss([0.25], [0.5]) == pytest.approx(-0.5 * math.log(0.25) - 0.5 * math.log(0.75), rel=1e-15)


def test_logloss_of_float32_is_summed_in_float64():
    probability = np.full(1_000_001, 0.1, dtype=np.float32)
    assert logloss(probability, np.zeros(1_000_001)) == pytest.approx(-math.log1p(-float(np.float32(0.1))), rel=1e-13)


def test_predicting_the_mean_has_normalised_entropy_one():
    assert normalised_entropy([0.2] * 5, [0, 0, 1, 0, 0]) == pytest.approx(1.0, abs=1e-15)
    assert normalised_entropy([0.5, 0.5], [0, 1], [3.0, 1.0]) == pytest.approx(math.log(2) / 0.5623351446188083)


def test_calibration_is_promised_over_actual_clicks():
    assert calibration([0.2, 0.4], [0, 1]) == pytest.approx(0.6)
    assert calibration([0.2, 0.4], [0, 1], [1.0, 3.0]) == pytest.approx(1.4 / 3)


def test_metrics_that_are_not_defined_are_nan():
    assert math.isnan(logloss([], []))
    assert math.isnan(logloss([0.5], [1], [0.0]))
    assert math.isnan(normalised_entropy([0.5], [1]))
    assert math.isnan(calibration([0.5], [0]))
    assert len(calibration_curve([], []).weight) == 0


def test_probabilities_outside_the_unit_interval_are_refused():
    with pytest.raises(ValueError, match=r"probability: must be between 0 and 1, got values from -0\.1 to 2"):
        logloss([-0.1, 2.0], [0, 1])


def test_bins_of_the_curve_hold_equal_mass():
    probability = np.linspace(0.0, 1.0, 100)
    curve = calibration_curve(probability, probability > 0.495, bins=4)
    assert curve.weight.tolist() == [25, 25, 25, 25]
    assert_allclose(curve.prediction, probability.reshape(4, 25).mean(axis=1))
    assert curve.label.tolist() == [0, 0, 1, 1]


def test_equal_predictions_share_a_bin_whatever_their_order():
    curve = calibration_curve([0.5, 0.1, 0.5, 0.5], [1, 0, 0, 1], bins=20)
    assert curve.prediction.tolist() == [0.1, 0.5]
    assert curve.label.tolist() == [0.0, pytest.approx(2 / 3)]
    weighted = calibration_curve([0.5, 0.1, 0.5, 0.5], [1, 0, 0, 1], [2.0, 0.0, 1.0, 1.0], bins=20)
    assert weighted.weight.tolist() == [4.0]
    assert weighted.label.tolist() == [0.75]


def test_a_heavy_prediction_goes_to_the_bin_of_its_middle():
    curve = calibration_curve([0.1, 0.9, 0.9, 0.9], [0, 1, 1, 1], bins=2)
    assert curve.weight.tolist() == [1, 3]


def test_a_curve_needs_a_bin():
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        calibration_curve([0.5], [1], bins=0)
