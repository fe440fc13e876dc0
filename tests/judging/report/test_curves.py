import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from recsys.judging.report.curves import Ranking
from tests.judging.report.judgements import predictions


def ranking(
    rows: int = 2000, *, weighted: bool = False, digits: int | None = None
) -> tuple[Ranking, dict[str, np.ndarray]]:
    found = predictions(rows=rows, weighted=weighted)
    score = found.score if digits is None else found.score.round(digits)
    weight = {} if found.weight is None else {"sample_weight": found.weight}
    return Ranking(found.label, score, found.weight), {"y_true": found.label, "y_score": score, **weight}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("digits", [None, 2])
def test_roc_and_precision_recall_are_those_of_scikit_learn(weighted: bool, digits: int | None) -> None:
    ours, theirs = ranking(weighted=weighted, digits=digits)
    false, true, _ = roc_curve(**theirs, drop_intermediate=False)
    assert points(ours.roc.x, ours.roc.y) <= points(false, true)
    assert np.trapezoid(ours.roc.y, ours.roc.x) == pytest.approx(roc_auc_score(**theirs), abs=5e-4)
    precision, recall, _ = precision_recall_curve(**theirs)
    assert points(ours.precision_recall.x, ours.precision_recall.y) <= points(recall, precision)


def points(x: np.ndarray, y: np.ndarray) -> set[tuple[float, float]]:
    return set(zip(x.round(9).tolist(), y.round(9).tolist(), strict=True))


def test_gains_and_lift_say_how_many_positives_the_first_rows_hold() -> None:
    score = np.arange(10, 0, -1) / 10
    found = Ranking(np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 1]), score)
    np.testing.assert_allclose([found.caught(share) for share in (0.1, 0.2, 0.5, 1)], [0.25, 0.5, 0.75, 1])
    assert (found.gains.x[0], found.gains.y[-1]) == (0, 1)
    lift = found.lift
    np.testing.assert_allclose([lift.y[0], lift.y[-1]], [2.5, 1])


def test_equal_scores_are_one_step() -> None:
    found = Ranking(np.array([1, 0, 0, 1]), np.full(4, 0.5))
    assert (found.roc.x.tolist(), found.roc.y.tolist()) == ([0, 1], [0, 1])
    assert found.caught(0.25) == 0.25


def test_the_reliability_of_true_probabilities_is_within_its_intervals() -> None:
    probability = np.random.default_rng(0).uniform(0.01, 0.3, 50_000)
    label = np.random.default_rng(1).random(50_000) < probability
    found = Ranking(label, probability).reliability
    assert len(found.predicted) == 15
    inside = (found.low <= found.predicted) & (found.predicted <= found.high)
    assert inside.sum() >= 13
    np.testing.assert_allclose(found.rows, 50_000 / 15, rtol=0.01)


def test_rows_that_weigh_the_same_have_the_intervals_of_rows_without_weights() -> None:
    found = predictions()
    plain = Ranking(found.label, found.score).reliability
    weighted = Ranking(found.label, found.score, np.full(len(found), 7.0)).reliability
    np.testing.assert_allclose([weighted.low, weighted.high], [plain.low, plain.high])


def test_a_histogram_has_the_shares_of_each_class() -> None:
    found = Ranking(np.array([1, 1, 0, 0, 0]), np.array([0.1, 0.9, 0.1, 0.2, 5.0])).histogram(np.array([0, 0.5, 1]))
    np.testing.assert_allclose(found.positive, [0.5, 0.5])
    np.testing.assert_allclose(found.negative, [2 / 3, 1 / 3])


def test_soft_labels_are_parts_of_both_classes() -> None:
    found = Ranking(np.array([0.5, 0.25]), np.array([0.2, 0.7]))
    assert (found.positives, found.negatives, found.base_rate) == (0.75, 1.25, 0.375)


def test_rows_of_one_class_or_no_rows_have_not_both() -> None:
    assert not Ranking(np.ones(3), np.arange(3.0)).has_both
    assert not Ranking(np.empty(0), np.empty(0)).has_both
