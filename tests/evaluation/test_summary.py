import numpy as np
import pytest

import recsys.evaluation
from recsys.evaluation import METRICS, auc, auc_interval, evaluate, gauc, logloss


def test_a_run_reports_these_metrics():
    names = ("auc", "logloss", "ne", "calibration", "gauc")
    found = evaluate([0.25, 0.5, 0.5, 0.75], [0, 0, 1, 1], group=[1, 1, 1, 2], names=names)
    ends = ("_low", "_high")
    assert {name: value for name, value in found.items() if name.startswith("auc") or not name.endswith(ends)} == {
        "auc": 0.875,
        "auc_low": auc_interval([0.25, 0.5, 0.5, 0.75], [0, 0, 1, 1]).low,
        "auc_high": 1.0,
        "logloss": pytest.approx(logloss([0.25, 0.5, 0.5, 0.75], [0, 0, 1, 1])),
        "ne": pytest.approx(found["logloss"] / np.log(2)),
        "calibration": 1.0,
        "rows": 4.0,
        "positives": 2.0,
        "gauc": 0.75,
        "gauc_groups": 1.0,
        "gauc_skipped": 1.0,
    }


def test_every_metric_with_influence_has_an_interval_where_rows_are_enough():
    found = evaluate([0.25, 0.5, 0.5, 0.75], [0, 1, 0, 1], [1, 2, 3, 4], [1, 1, 2, 2])
    names = [name for name, metric in METRICS.items() if metric.influence is not None]
    assert names
    for name in names:
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]


def test_without_groups_there_is_no_gauc():
    assert not [name for name in evaluate([0.5], [1]) if name in METRICS and METRICS[name].needs_group]


def test_weights_reach_every_metric():
    probability, label, weight = [0.2, 0.6, 0.4, 0.7], [0, 0, 1, 1], [1.0, 2.0, 3.0, 4.0]
    plain, weighted = (evaluate(probability, label, w, [1, 1, 1, 1]) for w in (None, weight))
    assert weighted["auc"] == auc(probability, label, weight)
    assert weighted["gauc"] == gauc(probability, label, [1] * 4, weight).value
    for name in set(METRICS) - {"ndcg_10", "recall_10"}:  # a single group, of which all rows are in the list
        assert plain[name] != weighted[name], name
    assert weighted["positives"] == 2.0


def test_all_public_names_can_be_imported():
    assert dir(recsys.evaluation) == sorted(recsys.evaluation.__all__)
    for name in recsys.evaluation.__all__:
        assert getattr(recsys.evaluation, name) is not None
