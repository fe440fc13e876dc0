"""Calibration of a run: what it changes, where it is kept, and that everything that scores rows uses it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import log_loss

from recsys.api.run import Run
from recsys.checksums import CHECKSUMS
from recsys.config import Config
from recsys.errors import ConfigError, DataError
from recsys.evaluation.probability import calibration_curve
from recsys.export import export_run
from recsys.serving import Scorer
from recsys.training.build import load_run
from recsys.training.evaluate import evaluate_files
from recsys.training.run import TrainResult
from tests.training.logs import clicks, make_config, predictions, run, steady

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose training rows have lost four of five negatives, so that its models promise too many clicks."""
    folder = tmp_path_factory.mktemp("shifted")
    train = clicks(4000, seed=0).filter((pl.col("click") == 1) | (pl.int_range(pl.len()) % 5 == 0))
    for split, rows in {"train": train, "valid": clicks(2000, seed=1), "test": clicks(3000, seed=2)}.items():
        rows.write_parquet(folder / f"{split}.parquet")
    return folder


def config_of(folder: Path, method: Any, **changes: Any) -> Config:
    return make_config(folder, calibration=method, train={"epochs": 2}, **changes)


@pytest.fixture(scope="module")
def plain(shifted: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("plain")
    return run(shifted, folder / "run", config_of(folder, "none"))


@pytest.fixture(scope="module")
def isotonic(shifted: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("isotonic")
    return run(shifted, folder / "run", config_of(folder, "isotonic"))


def error_of(rows: pl.DataFrame) -> float:
    """Return the expected calibration error over 20 bins of equal mass."""
    curve = calibration_curve(rows["score"], rows["label"])
    return float((curve.weight * np.abs(curve.prediction - curve.label)).sum() / curve.weight.sum())


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_a_planted_miscalibration_of_held_out_rows_is_at_least_halved(
    method: str, shifted: Path, plain: TrainResult, tmp_path: Path
) -> None:
    said: list[str] = []
    found = run(shifted, tmp_path / "run", config_of(tmp_path, method), log=said.append)
    before, after = (error_of(predictions(one.folder)) for one in (plain, found))
    assert before > 0.1
    assert after < before / 2
    assert found.metrics["test.calibration"] == pytest.approx(1, abs=0.1)
    assert found.metrics["test.auc"] == pytest.approx(plain.metrics["test.auc"], abs=1e-9)
    assert found.metrics["before_calibration.test.calibration"] == plain.metrics["test.calibration"] > 1.3
    line = next(line for line in said if line.startswith(f"calibration {method}: test "))
    assert f"logloss {plain.metrics['test.logloss']:.5f} -> {found.metrics['test.logloss']:.5f}" in line
    assert "AUC" not in line


def test_figures_before_calibration_are_those_of_a_run_without_it(plain: TrainResult, isotonic: TrainResult) -> None:
    before = {
        name.removeprefix("before_calibration."): value
        for name, value in isotonic.metrics.items()
        if name.startswith("before_calibration.")
    }
    splits = {name: value for name, value in plain.metrics.items() if name.startswith(("test.", "valid."))}
    assert before == splits
    assert not (plain.folder / "calibration.json").exists()
    rows = predictions(isotonic.folder)
    assert rows["uncalibrated"].equals(predictions(plain.folder)["score"].rename("uncalibrated"))
    assert isotonic.metrics["test.logloss"] == pytest.approx(log_loss(rows["label"], rows["score"]), abs=1e-12)


def test_evaluate_and_the_bundle_score_as_the_run_did(isotonic: TrainResult, shifted: Path, tmp_path: Path) -> None:
    metrics = evaluate_files(isotonic.folder, [str(shifted / "test.parquet")], device="cpu")
    assert metrics == {name: isotonic.metrics[f"test.{name}"] for name in metrics}
    export_run(isotonic.folder, tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.read_parquet(shifted / "test.parquet"))
    np.testing.assert_allclose(scores[:, 0], predictions(isotonic.folder)["score"], rtol=0, atol=1e-6)


def test_each_task_has_a_calibration_of_its_own(shifted: Path, tmp_path: Path) -> None:
    labels = {"clicked": "click", "bought": "buy"}
    found = run(shifted, tmp_path / "run", config_of(tmp_path, "platt", label=labels, weight="weight"))
    kept = json.loads((found.folder / "calibration.json").read_text())
    assert (kept["method"], kept["by"], kept["ids"]) == ("platt", None, [])
    assert [curve.keys() for task in kept["tasks"].values() for curve in task["curves"]] == [{"slope", "shift"}] * 2
    assert kept["tasks"]["clicked"] != kept["tasks"]["bought"]
    for task in labels:
        assert found.metrics[f"test.{task}.calibration"] == pytest.approx(1, abs=0.15)
    export_run(found.folder, tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.read_parquet(shifted / "test.parquet"))
    expected = predictions(found.folder).select("score.clicked", "score.bought").to_numpy()
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)


def test_a_run_that_is_stopped_before_it_is_calibrated_ends_with_the_same_bits(
    isotonic: TrainResult, shifted: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(isotonic.folder, tmp_path / "run")
    for name in ("metrics.json", "calibration.json"):
        (folder / name).unlink()
    with pytest.raises(DataError, match=r"has no calibration\.json, which is fitted when training has ended"):
        load_run(folder, device=CPU)
    again = run(shifted, folder, config_of(tmp_path, "isotonic"), resume=True)
    assert again.metrics == isotonic.metrics
    assert predictions(folder).equals(predictions(isotonic.folder))
    assert (folder / "calibration.json").read_bytes() == (isotonic.folder / "calibration.json").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        *("", "{}", '{"ids": [], "tasks": []}', '{"ids": 3}'),
        '{"ids": [], "tasks": {"label": {"shares": [], "curves": [{"scores": ["a"], "values": [1]}]}}}',
        '{"ids": [], "tasks": {"label": {"shares": [], "curves": [{"scores": [0, 1], "values": [1]}]}}}',
        '{"ids": [3], "tasks": {"label": {"shares": [0.5], "curves": [{"scores": [0, 1], "values": [0, 1]}]}}}',
    ],
)
@pytest.mark.parametrize("is_verified", [True, False])
def test_a_damaged_calibration_is_refused(
    damage: str, is_verified: bool, isotonic: TrainResult, tmp_path: Path
) -> None:
    folder = shutil.copytree(isotonic.folder, tmp_path / "run")
    (folder / "calibration.json").write_text(damage)
    if not is_verified:
        (folder / CHECKSUMS).unlink()
    with pytest.raises(DataError, match=r"calibration\.json: is damaged"):
        load_run(folder, device=CPU)


def test_what_is_calibrated_without_an_evaluated_split_is_fitted_all_the_same(shifted: Path, tmp_path: Path) -> None:
    found = run(shifted, tmp_path / "run", config_of(tmp_path, "platt"), evaluated=())
    assert not [name for name in found.metrics if "test" in name or "valid" in name]
    assert load_run(found.folder, device=CPU).calibrator is not None


def test_a_calibration_that_is_none_is_refused_before_anything_is_written(shifted: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"calibration: cannot find the module no_such_module"):
        run(shifted, tmp_path / "run", config_of(tmp_path, "no_such_module:Beta"))
    assert not (tmp_path / "run").exists()


def test_the_python_surface_reads_a_calibrated_run(isotonic: TrainResult) -> None:
    found = Run(isotonic.folder)
    assert steady(found.metrics) == steady(isotonic.metrics)
    assert found.predictions()["score"].is_between(0, 1, closed="none").all()
