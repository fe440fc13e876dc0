"""A run that goes without most negatives predicts the probabilities of all rows, wherever it predicts any."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.config import Config
from recsys.data.prepare import prepare
from recsys.errors import ConfigError
from recsys.export import export_run
from recsys.losses.logloss import LogLoss
from recsys.serving import Scorer
from recsys.training.evaluate import evaluate_files
from recsys.training.run import TrainResult
from tests.ranks.run_on_ranks import run_on_ranks
from tests.training.interruptions import interrupted_in_batch
from tests.training.logs import BASE, epochs, make_config, predictions, run, steady
from tests.training.sessions import session

pytestmark = pytest.mark.slow

RATE = 0.1


def rare_clicks(num_rows: int, *, seed: int) -> pl.DataFrame:
    """Draw rows of which about one in eleven is clicked, with known probabilities."""
    draw = np.random.default_rng(seed)
    user, item = draw.integers(0, 20, num_rows), draw.integers(0, 12, num_rows)
    p = 1 / (1 + np.exp(3.0 - 0.1 * user - 0.5 * (item % 3 == 0)))
    label = (draw.random(num_rows) < p).astype(np.int8)
    return pl.DataFrame({"user": user, "item": item, "weight": draw.uniform(0.5, 2, num_rows), "click": label})


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rare")
    for seed, (split, num_rows) in enumerate({"train": 250_000, "valid": 40_000, "test": 250_000}.items()):
        rare_clicks(num_rows, seed=seed).write_parquet(folder / f"{split}.parquet")
    return folder


def config_of(folder: Path, rate: float | None, **changes: Any) -> Config:
    data = BASE["data"] | ({} if rate is None else {"negative_rate": rate})
    features = {"user": {"type": "id"}, "item": {"type": "id"}}
    train = {"epochs": 3, "batch_size": 1024, "dense_optimizer": {"lr": 0.003}} | changes.pop("train", {})
    model = {"tower": "lr"}
    return make_config(folder, **({"data": data, "features": features, "model": model, "train": train} | changes))


@pytest.fixture(scope="module")
def whole(rare: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("whole")
    return run(rare, folder / "run", config_of(folder, None))


@pytest.fixture(scope="module")
def sampled(rare: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("sampled")
    return run(rare, folder / "run", config_of(folder, RATE))


def test_the_mean_prediction_is_the_mean_label_and_auc_stays(sampled: TrainResult, whole: TrainResult) -> None:
    assert sampled.metrics["test.calibration"] == pytest.approx(1, abs=0.02)
    assert whole.metrics["test.auc_low"] < sampled.metrics["test.auc"] < whole.metrics["test.auc_high"]
    assert sampled.metrics["test.logloss"] == pytest.approx(whole.metrics["test.logloss"], rel=0.01)
    wrong = predictions(sampled.folder)["score"] / (1 - predictions(sampled.folder)["score"]) / RATE
    assert (wrong / (1 + wrong)).mean() > 3 * sampled.metrics["test.positives"] / sampled.metrics["test.rows"]


def test_training_and_validation_figures_are_those_of_all_rows(sampled: TrainResult, whole: TrainResult) -> None:
    for less, all_rows in zip(epochs(sampled.folder), epochs(whole.folder), strict=True):
        assert less["train.loss"] == pytest.approx(all_rows["train.loss"], rel=0.06)
        assert less["valid.calibration"] == pytest.approx(1, abs=0.1)
    last = epochs(sampled.folder)[-1]
    assert last["train.loss"] == pytest.approx(last["valid.logloss"], rel=0.05)


def test_evaluate_and_the_bundle_predict_the_same(sampled: TrainResult, rare: Path, tmp_path: Path) -> None:
    metrics = evaluate_files(sampled.folder, [str(rare / "test.parquet")], device="cpu")
    assert metrics == {name: sampled.metrics[f"test.{name}"] for name in metrics}
    export_run(sampled.folder, tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.read_parquet(rare / "test.parquet"))
    np.testing.assert_allclose(scores[:, 0], predictions(sampled.folder)["score"], rtol=0, atol=1e-6)


def test_rows_that_are_left_are_said_before_training(rare: Path, tmp_path: Path) -> None:
    said: list[str] = []
    config = config_of(tmp_path, RATE, train={"epochs": 1})
    run(rare, tmp_path / "run", config, log=said.append)
    train = prepare(config, rare, rare / "cache").splits["train"]
    line = f"data.negative_rate 0.1 leaves {train.num_rows:,} of 250,000 training rows, without "
    assert f"{line}{train.left_out:,} negatives" in said


@pytest.mark.parametrize("method", ["isotonic"])
def test_weights_and_calibration_go_with_it(method: str, rare: Path, tmp_path: Path) -> None:
    found = run(rare, tmp_path / "run", config_of(tmp_path, RATE, weight="weight", calibration=method))
    assert found.metrics["before_calibration.test.calibration"] == pytest.approx(1, abs=0.04)
    assert found.metrics["test.calibration"] == pytest.approx(1, abs=0.04)
    assert epochs(found.folder)[-1]["train.loss"] == pytest.approx(epochs(found.folder)[-1]["valid.logloss"], rel=0.05)
    export_run(found.folder, tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.read_parquet(rare / "test.parquet"))
    np.testing.assert_allclose(scores[:, 0], predictions(found.folder)["score"], rtol=0, atol=1e-6)


def test_a_run_that_was_stopped_ends_with_the_same_bits(sampled: TrainResult, rare: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, RATE)
    with interrupted_in_batch(9):
        run(rare, tmp_path / "run", config)
    resumed = run(rare, tmp_path / "run", config, resume=True)
    assert steady(resumed.metrics) == steady(sampled.metrics)
    with pytest.raises(ConfigError, match=r"was made with another configuration"):
        run(rare, tmp_path / "run", config_of(tmp_path, 0.2), resume=True)


def test_a_loss_with_a_link_of_its_own_is_refused_before_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogLoss, "link", lambda self: __import__("torch").nn.Identity())
    with pytest.raises(ConfigError, match=r"config.yaml:1: data.negative_rate: needs a loss of log-odds"):
        run(tmp_path, tmp_path / "run", config_of(tmp_path, RATE))


@pytest.mark.ranks
def test_two_ranks_have_the_figures_of_one(uneven: Path, tmp_path: Path) -> None:
    data = {"train": "train.parquet", "valid": "valid.parquet", "test": "test.parquet", "negative_rate": 0.5}
    model = {"tower": "mlp", "dim": 8, "mlp": [16]}
    changes = {"data": data, "weight": "weight", "model": model, "train": {"batch_size": 37, "epochs": 2}}
    alone = session(uneven, tmp_path / "alone", tmp_path / "1", changes, None, False)
    both = run_on_ranks(session, uneven, tmp_path / "both", tmp_path / "2", changes, None, False)
    assert alone.metrics is not None
    figures = {name: value for name, value in alone.metrics.items() if "test." in name}
    assert {name: both[0].metrics[name] for name in figures} == pytest.approx(figures, abs=1e-5)
    for one, two in zip(epochs(tmp_path / "alone"), epochs(tmp_path / "both"), strict=True):
        assert one["train.loss"] == pytest.approx(two["train.loss"], abs=1e-5)
        assert not math.isnan(one["train.loss"])
