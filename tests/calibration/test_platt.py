import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from recsys.calibration import Floats
from recsys.calibration.platt import SMALLEST_SLOPE, Platt
from recsys.config.calibrations.platt import PlattSection


def fitted(probability: Floats, label: Floats, weight: Floats | None = None) -> Platt:
    calibration = Platt(PlattSection(method="platt"))
    calibration.set_curves([calibration.fit(probability, label, weight)])
    return calibration


def apply(calibration: Platt, *probabilities: float) -> list[float]:
    found: list[float] = calibration(
        torch.tensor(probabilities, dtype=torch.float64), torch.zeros(len(probabilities), dtype=torch.int64)
    ).tolist()
    return found


def rows(num_rows: int, slope: float, shift: float) -> tuple[Floats, Floats]:
    """Draw log-odds, and labels whose log-odds are slope * logit + shift."""
    random = np.random.default_rng(0)
    logit = random.normal(-1, 1.5, num_rows)
    return logit, (random.random(num_rows) < 1 / (1 + np.exp(-slope * logit - shift))).astype(np.float64)


@pytest.mark.parametrize("has_weights", [False, True])
def test_slope_and_shift_are_those_of_a_logistic_regression(has_weights: bool) -> None:
    logit, label = rows(200_000, 0.6, -0.4)
    weight = np.random.default_rng(1).uniform(0.2, 3, len(label)) if has_weights else None
    found = fitted(1 / (1 + np.exp(-logit)), label, weight)
    expected = LogisticRegression(C=np.inf, tol=1e-12).fit(logit[:, None], label, sample_weight=weight)
    assert float(found.slope) == pytest.approx(expected.coef_.item(), abs=2e-4)  # Platt's targets are not 0 and 1
    assert float(found.shift) == pytest.approx(expected.intercept_.item(), abs=2e-4)


def test_scores_without_an_error_have_a_finite_slope() -> None:
    found = fitted(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert apply(found, 0.1, 0.9) == pytest.approx([1 / 4, 3 / 4], abs=0.05)


def test_a_model_that_ranks_the_wrong_way_round_gets_all_but_one_probability() -> None:
    logit, label = rows(2000, -1, 0)
    found = fitted(1 / (1 + np.exp(-logit)), label)
    assert float(found.slope) == SMALLEST_SLOPE
    assert apply(found, 0.01, 0.99) == pytest.approx([label.mean()] * 2, abs=0.01)


def test_certain_scores_stay_finite() -> None:
    found = fitted(np.array([0.0, 0.0, 1.0, 1.0, 0.5]), np.array([0.0, 1.0, 1.0, 1.0, 0.0]))
    assert found.slope.isfinite()
    assert np.isfinite(apply(found, 0.0, 1.0)).all()
