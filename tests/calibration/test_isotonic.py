import numpy as np
import pytest
import torch
from sklearn.isotonic import IsotonicRegression

from recsys.calibration import Floats
from recsys.calibration.isotonic import Isotonic, _Blocks, _merge, _pool
from recsys.config.calibrations.isotonic import IsotonicSection

CONFIG = IsotonicSection(method="isotonic")


def fitted(probability: list[float] | Floats, label: list[float] | Floats, weight: Floats | None = None) -> Isotonic:
    calibration = Isotonic(CONFIG)
    calibration.set_curves(
        [calibration.fit(np.asarray(probability, np.float64), np.asarray(label, np.float64), weight)]
    )
    return calibration


@pytest.mark.parametrize("has_weights", [False, True])
@pytest.mark.parametrize("decimals", [1, 3, 16])
def test_its_blocks_are_those_of_isotonic_regression(
    decimals: int, has_weights: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.calibration.isotonic.STEEPEST", np.inf)
    random = np.random.default_rng(decimals)
    score = 0.1 + 0.8 * random.random(3000).round(decimals)
    label = (random.random(3000) < score**2).astype(np.float64)
    weight = random.uniform(0.1, 3, 3000) if has_weights else None
    found = fitted(score, label, weight).values.numpy()[1:-1]
    expected = np.unique(IsotonicRegression().fit(score, label, sample_weight=weight).predict(score).round(12))
    is_certain = (expected == 0) | (expected == 1)
    np.testing.assert_allclose(found[~is_certain], expected[~is_certain], rtol=0, atol=1e-11)


def test_the_curve_joins_the_means_of_blocks_and_reaches_both_corners() -> None:
    found = fitted([0.1, 0.3, 0.5, 0.7], [0.2, 0.1, 0.4, 0.6])
    assert found.scores.tolist() == pytest.approx([0, 0.2, 0.5, 0.7, 1])
    assert found.values.tolist() == pytest.approx([0, 0.15, 0.4, 0.6, 1])
    middle = found(torch.tensor([0.1, 0.35, 0.85], dtype=torch.float64), torch.zeros(3, dtype=torch.int64))
    assert middle.tolist() == pytest.approx([0.075, 0.275, 0.8])


def test_a_block_of_one_class_is_not_certain() -> None:
    found = fitted([0.2] * 8 + [0.6] * 4 + [0.9] * 2, [0] * 8 + [0, 1] * 2 + [1] * 2)
    assert found.values.tolist() == pytest.approx([0, 1 / 10, 1 / 2, 3 / 4, 1])


def test_blocks_with_too_steep_a_rise_between_them_are_one() -> None:
    found = fitted([0.2, 0.5, 0.5000001, 0.8], [0.1, 0.3, 0.7, 0.9])
    assert found.values.tolist() == pytest.approx([0, 0.1, 0.5, 0.9, 1])


def test_rows_without_weight_do_not_count() -> None:
    random = np.random.default_rng(0)
    score = random.random(200)
    label = (random.random(200) < score).astype(np.float64)
    weight = (np.arange(200) % 2).astype(np.float64)
    scores, odd = fitted(score, label, weight).scores, fitted(score[1::2], label[1::2]).scores
    assert torch.allclose(scores, odd)


def test_scores_of_0_and_1_are_ends_of_the_curve() -> None:
    found = fitted([0.0, 0.0, 1.0, 1.0], [0, 1, 1, 1])
    assert found.scores.tolist() == [0, 1]
    assert found.values.tolist() == [0.5, 0.75]


def test_a_million_rows_take_seconds() -> None:
    random = np.random.default_rng(0)
    score = random.random(1_000_000)
    mass = np.ones(1_000_000)
    label = (random.random(1_000_000) < score).astype(np.float64)
    order = np.argsort(score)
    pooled = _pool(_Blocks(mass, score[order], label[order]))
    assert len(pooled.mass) < 100_000
    assert len(_merge(pooled).mass) < 2_000
