"""The registry of metrics, and a metric of a user's own from the check of its configuration to its predictions."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.config import load_config
from recsys.config.schema import json_schema
from recsys.errors import ConfigError
from recsys.evaluation.metrics import METRICS, Metric, describe_metrics, register_metric, resolve_metric
from recsys.evaluation.summary import evaluate
from tests.training.logs import BASE, epochs

USERS_FILE = """
import numpy as np
import recsys

def brier_score(probability, label, weight):
    return float(np.average((probability - label) ** 2, weights=weight))

brier = recsys.register_metric("brier", recsys.Metric(brier_score, higher_is_better=False, label="Brier"))
"""


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the metrics that a test registers."""
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))


def mean_prediction(probability: Any, label: Any, weight: Any) -> float:
    return float(np.mean(probability))


def test_a_registered_metric_is_evaluated_and_described() -> None:
    register_metric("mean", Metric(mean_prediction, higher_is_better=None, label="mean p"))
    found = evaluate([0.25, 0.75], [0, 1])
    assert found["mean"] == 0.5
    assert describe_metrics(found) == "AUC 1.00000, logloss 0.28768, mean p 0.50000"


def test_a_metric_may_return_figures_that_belong_to_it() -> None:
    register_metric("spread", Metric(lambda p, y, w: {"spread_max": 2, "spread": 1}, higher_is_better=None))
    assert list(evaluate([0.5], [1]).items())[-1] == ("spread_max", 2.0)
    register_metric("wrong", Metric(lambda p, y, w: {"other": 1}, higher_is_better=None))
    with pytest.raises(ValueError, match="metric wrong: its function must return a number, or a dict with the key 'wr"):
        evaluate([0.5], [1])


def test_a_metric_that_needs_groups_is_given_them() -> None:
    count = Metric(lambda p, y, group, w: len(np.unique(group)), higher_is_better=True, needs_group=True)
    register_metric("users", count)
    assert evaluate([0.5, 0.5, 0.5], [0, 1, 1], group=[7, 7, 8])["users"] == 2
    assert "users" not in evaluate([0.5], [1])


@pytest.mark.parametrize("name", ["auc", "rows"])
def test_a_name_in_use_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        register_metric(name, Metric(mean_prediction, higher_is_better=None))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("acu", r"must be one of auc, logloss, ne, gauc, .*, package\.module:name, got 'acu'; did you mean 'auc'\?"),
        ("calibration", "must be one of auc, .* got 'calibration'"),
        ("nowhere.at_all:x", "cannot find the module nowhere"),
        ("json:dumps", r"must be a recsys\.Metric, got 'json:dumps', which is of type function"),
        ("recsys:Metric", r"must be a recsys\.Metric, got 'recsys:Metric', which is a class, not an object of it"),
    ],
)
def test_a_metric_that_epochs_cannot_be_compared_by_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_metric(name)
    content = BASE | {"train": {"early_stopping": {"metric": name}}}
    (tmp_path / "run.yaml").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=rf"run.yaml:1: train\.early_stopping\.metric: .*{message}"):
        load_config(tmp_path / "run.yaml")


def test_the_schema_lists_the_metrics_that_epochs_can_be_compared_by() -> None:
    register_metric("mean", Metric(mean_prediction, higher_is_better=True))
    names = [name for name, metric in METRICS.items() if metric.higher_is_better is not None]
    assert names[-1] == "mean"
    assert f'"enum": {json.dumps(names)}' in json.dumps(json_schema())


def test_a_metric_that_needs_groups_is_refused_without_a_group(tmp_path: Path) -> None:
    register_metric("users", Metric(mean_prediction, higher_is_better=True, needs_group=True))
    content = BASE | {"group": None, "train": {"early_stopping": {"metric": "users"}}}
    (tmp_path / "run.yaml").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="users needs `group`, the column to group rows by"):
        load_config(tmp_path / "run.yaml")


@pytest.fixture
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with the metric `brier`, on the path."""
    (tmp_path / "plug_ins").mkdir()
    (tmp_path / "plug_ins" / "users_metrics.py").write_text(USERS_FILE)
    monkeypatch.syspath_prepend(tmp_path / "plug_ins")
    yield "users_metrics:brier"
    sys.modules.pop("users_metrics", None)


@pytest.mark.slow
def test_a_metric_of_one_users_file_goes_all_the_way(users_module: str, log: Path, tmp_path: Path) -> None:
    train = BASE["train"] | {"epochs": 6, "early_stopping": {"metric": users_module, "patience": 1}}
    (tmp_path / "run.yaml").write_text(json.dumps(BASE | {"train": train}))
    config = recsys.load_config(tmp_path / "run.yaml")  # as `recsys check` does
    lines: list[str] = []
    options = {"data_dir": log, "cache_dir": log / "cache", "runs_dir": tmp_path, "device": "cpu"}
    run = recsys.train(config, name="run", log=lines.append, **options)
    values = [line["valid.brier"] for line in epochs(run.path)]
    assert run.metrics["best_epoch"] == 1 + values.index(min(values))
    assert run.metrics["valid.brier"] == min(values)
    assert f"Brier {values[0]:.5f}" in next(line for line in lines if line.startswith("epoch 1:"))
    assert run.evaluate(log / "test.parquet")["brier"] == pytest.approx(run.metrics["test.brier"])
    bundle = run.export(tmp_path / "bundle")
    rows = pl.read_parquet(log / "test.parquet")
    score = bundle.predict(rows)["score"]
    brier = ((score - rows["click"]) ** 2).mean()
    assert brier == pytest.approx(run.metrics["test.brier"], abs=1e-6)
