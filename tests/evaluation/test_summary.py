import numpy as np
import pytest

import recsys.evaluation
from recsys.evaluation import Accumulator, auc, evaluate, gauc, logloss


def test_a_run_reports_these_metrics():
    found = evaluate([0.25, 0.5, 0.5, 0.75], [0, 0, 1, 1], group=[1, 1, 1, 2])
    assert found == {
        "auc": 0.875,
        "logloss": pytest.approx(logloss([0.25, 0.5, 0.5, 0.75], [0, 0, 1, 1])),
        "ne": pytest.approx(found["logloss"] / np.log(2)),
        "calibration": 1.0,
        "rows": 4.0,
        "positives": 2.0,
        "gauc": 0.75,
        "gauc_groups": 1.0,
        "gauc_skipped": 1.0,
    }


def test_without_groups_there_is_no_gauc():
    assert sorted(evaluate([0.5], [1])) == ["auc", "calibration", "logloss", "ne", "positives", "rows"]


def test_weights_reach_every_metric():
    probability, label, weight = [0.2, 0.6, 0.4, 0.7], [0, 0, 1, 1], [1.0, 2.0, 3.0, 4.0]
    plain, weighted = (evaluate(probability, label, w, [1, 1, 1, 1]) for w in (None, weight))
    assert weighted["auc"] == auc(probability, label, weight)
    assert weighted["gauc"] == gauc(probability, label, [1] * 4, weight).value
    for name in ("auc", "logloss", "ne", "calibration", "gauc"):
        assert plain[name] != weighted[name], name
    assert weighted["positives"] == 2.0


def test_batches_give_the_metrics_of_the_whole():
    rng = np.random.default_rng(0)
    probability = rng.integers(1, 9, 1000).astype(np.float32) / 10
    label, weight, group = rng.random(1000) < 0.3, rng.random(1000), rng.integers(0, 30, 1000)
    seen = Accumulator()
    for at in range(0, 1000, 300):
        part = slice(at, at + 300)
        seen.add(probability[part], label[part], weight[part], group[part])
    assert seen.predictions().metrics() == evaluate(probability, label, weight, group)
    np.testing.assert_array_equal(seen.predictions().group, group)


def test_an_accumulator_keeps_copies():
    buffer, seen = np.array([0.1, 0.9]), Accumulator()
    seen.add(buffer, [0, 1])
    buffer[:] = 0.5
    assert seen.predictions().metrics()["auc"] == 1.0


def test_nothing_accumulated_has_no_metrics():
    found = Accumulator().predictions().metrics()
    assert found["rows"] == 0
    assert np.isnan(found["auc"])


def test_batches_must_agree_in_what_they_hold():
    seen = Accumulator()
    seen.add([0.1], [0], group=[1])
    with pytest.raises(ValueError, match="group: must be given with every batch or with none, batch 1 differs"):
        seen.add([0.1], [0])


def test_all_is_what_is_public():
    visible = {name for name in vars(recsys.evaluation) if not name.startswith("_")}
    modules = {"arrays", "intervals", "probability", "ranking", "summary", "ties"}
    assert visible - modules == set(recsys.evaluation.__all__)
