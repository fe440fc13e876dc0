"""Runs with curves for the values of a feature: after training, one of them is clicked on more often than before."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recsys.config import Config
from recsys.data.synthetic import generate
from recsys.data.synthetic.shop import PLANTED_APP
from recsys.evaluation.reliability import expected_calibration_error
from recsys.export import export_run
from recsys.judging.evaluated import evaluate_split
from recsys.serving import Scorer
from recsys.training.build import load_run
from recsys.training.evaluate import evaluate_files
from recsys.training.run import TrainResult
from tests.training.logs import BASE, QUICK, clicks, make_config, predictions, run

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
DRIFTED, UNSEEN = "2.4", "3.0"


def app_rows(num_rows: int, *, seed: int, is_later: bool) -> pl.DataFrame:
    """Draw rows of four apps; later, one of them has other clicks, and there are a new one and nulls."""
    draw = np.random.default_rng(seed + 100)
    names = ["2.1", "2.2", "2.3", DRIFTED, *([UNSEEN, None] if is_later else [])]
    app = pl.Series([names[index] for index in draw.integers(0, len(names), num_rows)], dtype=pl.String)
    is_moved = pl.Series(draw.random(num_rows) < 0.4) & (app == DRIFTED).fill_null(value=False) & is_later
    rows = clicks(num_rows, seed=seed).with_columns(app=app)
    return rows.with_columns(pl.when(is_moved).then(1).otherwise(pl.col(task)).alias(task) for task in ("click", "buy"))


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drifted")
    for seed, (split, num_rows) in enumerate({"train": 4000, "valid": 6000, "test": 6000}.items()):
        app_rows(num_rows, seed=seed, is_later=split != "train").write_parquet(folder / f"{split}.parquet")
    return folder


def config_of(
    folder: Path, calibration: dict[str, Any], *, app: dict[str, Any] | None = None, **changes: Any
) -> Config:
    pair = {"type": "cross", "of": ["app", "item"]}
    features = BASE["features"] | {"app": {"type": "id"} | (app or {}), "pair": pair}
    return make_config(folder, calibration=calibration, features=features, train=QUICK | {"epochs": 2}, **changes)


@pytest.fixture(scope="module")
def by_app(drifted: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("by_app")
    return run(drifted, folder / "run", config_of(folder, {"method": "isotonic", "by": "app"}))


def apps(log: Path) -> np.ndarray:
    found: np.ndarray = pl.read_parquet(log / "test.parquet")["app"].fill_null("").to_numpy()
    return found


def error_of(rows: pl.DataFrame, is_taken: np.ndarray, column: str = "score", label: str = "label") -> float:
    found = rows.filter(pl.Series(is_taken))
    return expected_calibration_error(found[column].to_numpy(), found[label].to_numpy()).value


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_the_error_of_a_value_that_has_changed_is_halved_where_one_curve_for_all_rows_cannot(
    method: str, drifted: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    plain = run(drifted, tmp_path / "plain", config_of(tmp_path / "1", {"method": method}))
    found = run(drifted, tmp_path / "run", config_of(tmp_path / "2", {"method": method, "by": "app"}), log=said.append)
    of_all, of_app = predictions(plain.folder), predictions(found.folder)
    is_drifted = apps(drifted) == DRIFTED
    before = error_of(of_app, is_drifted, "uncalibrated")
    assert before > 0.1
    assert error_of(of_all, is_drifted) > before / 2
    assert error_of(of_app, is_drifted) < before / 2
    assert found.metrics["test.logloss"] < plain.metrics["test.logloss"] - 0.005
    assert found.metrics["before_calibration.test.logloss"] == plain.metrics["before_calibration.test.logloss"]
    assert any(line.startswith(f"calibration {method} by app: curves of ") for line in said)
    for app in ("2.1", "2.2", "2.3"):  # in each, the order of scores is that of before
        rows = of_app.filter(pl.Series(apps(drifted) == app)).sort("uncalibrated", maintain_order=True)
        assert (rows["score"].diff().drop_nulls() >= 0).all()


def test_unseen_values_and_nulls_have_the_curve_of_all_rows(by_app: TrainResult, drifted: Path) -> None:
    calibrator = load_run(by_app.folder, device=CPU).calibrator
    assert calibrator is not None
    assert 1 <= len(calibrator.ids) <= 4
    rows = predictions(by_app.folder)
    of_all = calibrator.calibrate(rows["uncalibrated"].to_numpy(writable=True)[:, None], np.zeros(len(rows), np.int64))[
        :, 0
    ]
    is_unknown = np.isin(apps(drifted), [UNSEEN, ""])
    np.testing.assert_array_equal(rows["score"].to_numpy()[is_unknown], of_all[is_unknown])
    assert (rows["score"].to_numpy() != of_all)[apps(drifted) == DRIFTED].all()


CASES: dict[str, dict[str, Any]] = {
    "closed": {},
    "open": {"app": {"vocabulary": "open"}, "tables": {"t": {"features": ["app"], "scheme": "hash", "rows": 50}}},
    "without most negatives": {"data": BASE["data"] | {"negative_rate": 0.5}, "weight": "weight"},
    "tasks": {"label": {"clicked": "click", "bought": "buy"}, "weight": "weight"},
    "listed": {"app": {"vocabulary": [DRIFTED, "2.3"]}},
    "cross": {"by": "pair"},
}


@pytest.mark.parametrize("case", CASES)
def test_evaluate_and_the_bundle_score_as_the_run_did(case: str, drifted: Path, tmp_path: Path) -> None:
    changes = {"by": "app", **CASES[case]}
    by = changes.pop("by")
    config = config_of(tmp_path, {"method": "isotonic", "by": by}, **changes)
    found = run(drifted, tmp_path / "run", config)
    kept = json.loads((found.folder / "calibration.json").read_text())
    assert kept["by"] == by
    assert len(kept["ids"]) >= 1
    metrics = evaluate_files(found.folder, [str(drifted / "test.parquet")], device="cpu")
    assert metrics == {name: found.metrics[f"test.{name}"] for name in metrics}
    export_run(found.folder, tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.read_parquet(drifted / "test.parquet"))
    rows = predictions(found.folder)
    expected = rows.select(name for name in rows.columns if name.startswith("score")).to_numpy()
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)
    for suffix in [name.removeprefix("score") for name in rows.columns if name.startswith("score")]:
        before, after = (
            error_of(rows, apps(drifted) == DRIFTED, f"{column}{suffix}", f"label{suffix}")
            for column in ("uncalibrated", "score")
        )
        assert after < before / 2


def test_a_run_that_is_stopped_before_it_is_calibrated_ends_with_the_same_bits(
    by_app: TrainResult, drifted: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(by_app.folder, tmp_path / "run")
    for name in ("metrics.json", "calibration.json"):
        (folder / name).unlink()
    again = run(drifted, folder, config_of(tmp_path, {"method": "isotonic", "by": "app"}), resume=True)
    assert again.metrics == by_app.metrics
    assert predictions(folder).equals(predictions(by_app.folder))
    assert (folder / "calibration.json").read_bytes() == (by_app.folder / "calibration.json").read_bytes()


@pytest.mark.proof
def test_on_the_made_log_the_planted_slice_is_the_worst_until_it_has_a_curve_of_its_own(tmp_path: Path) -> None:
    """The log of `recsys demo-data --planted-slice`. The tower reads one row for all apps, and so cannot tell them."""
    generate(tmp_path / "log", rows=300_000, num_users=200, num_items=100, mean_history=2.0, planted_slice=True)
    data = {"train": "train/*.parquet", "valid": "valid.parquet", "test": "test.parquet"}
    features = {name: {"type": "id"} for name in ("segment", "device", "category", "position", "app")}
    tables = {"app": {"features": ["app"], "scheme": "hash", "rows": 1}}
    changes = {"label": "clicked", "group": None, "features": features, "tables": tables, "data": data}
    apps = pl.read_parquet(tmp_path / "log" / "test.parquet")["app"].to_numpy()
    errors: dict[str, dict[str, float]] = {}
    calibrations: dict[str, Any] = {
        "none": "none",
        "all rows": "isotonic",
        "by app": {"method": "isotonic", "by": "app"},
    }
    for name, calibration in calibrations.items():
        config = make_config(
            tmp_path / name, calibration=calibration, train=QUICK | {"epochs": 1, "batch_size": 1024}, **changes
        )
        found = run(tmp_path / "log", tmp_path / name / "run", config)
        rows = predictions(found.folder)
        errors[name] = {app: error_of(rows, apps == app) for app in sorted(set(apps))}
        of_apps = ", ".join(f"app {app} {error:.4f}" for app, error in errors[name].items())
        print(f"calibration {name}: ECE of {of_apps}; logloss {found.metrics['test.logloss']:.5f}")
        worst = evaluate_split(found.folder, by=["app", "segment", "device", "position"]).slices
        assert worst is not None
        is_planted = worst.select("column", "slice").row(0) == ("app", PLANTED_APP) and worst["miscalibration"][0] > 0
        assert is_planted == (name != "by app")
    assert errors["by app"][PLANTED_APP] < errors["all rows"][PLANTED_APP] / 2
    assert errors["by app"][PLANTED_APP] < errors["none"][PLANTED_APP] / 2
