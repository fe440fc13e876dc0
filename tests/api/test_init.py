"""First configurations, and the whole way from a frame to predictions in ten lines."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.errors import DataError
from tests.sources.arrow_types import ROWS, STORED, write_columns
from tests.sources.csv_looks import LOOKS, csv_text
from tests.training.logs import clicks


def test_a_file_is_named_in_the_draft_and_a_frame_is_not(tmp_path: Path) -> None:
    frame = clicks(200, seed=0)
    frame.write_parquet(tmp_path / "log.parquet")
    of_file = recsys.init(tmp_path / "log.parquet", "click", out=tmp_path / "mine.yaml")
    assert recsys.load_config(tmp_path / "mine.yaml").data.train == str(tmp_path / "log.parquet")
    of_frame = recsys.init(frame, "click")
    assert recsys.load_config(of_frame).features == recsys.load_config(of_file).features
    assert recsys.load_config(of_frame).data.train is None


def test_a_missing_label_is_refused() -> None:
    with pytest.raises(DataError, match="no column 'clicked'; did you mean 'click'"):
        recsys.init(clicks(200, seed=0), "clicked")


def test_a_demo_log_says_how_good_a_model_can_be(tmp_path: Path) -> None:
    best = recsys.demo_data(tmp_path / "demo", rows=2000)
    assert 0.5 < best["test"] < 1
    assert recsys.load_config(tmp_path / "demo" / "config.yaml").model.tower == "din"


@pytest.mark.slow
def test_ten_lines_lead_from_a_frame_to_auc_and_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = clicks(2400, seed=0)

    config = recsys.init(frame, label="click") + "model: {tower: mlp, dim: 8}\n"
    run = recsys.train(config, train=frame[:2000], device="cpu")
    print(run.metrics["test.auc"])
    print(run.evaluate(frame[2000:])["auc"])
    bundle = run.export("bundle")
    scored = bundle.predict(frame[2000:], keep=["user", "item"])

    assert 0.3 < run.metrics["test.auc"] <= 1
    assert scored.columns == ["user", "item", "score"]
    assert scored.height == 400


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_what_init_prints_for_columns_of_every_kind_is_trained_exported_and_scored(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"log.{form}"
    if form == "csv":
        path.write_text(csv_text(LOOKS), encoding="utf-8")
    else:
        write_columns(path, **{f"x{i}_{'ab'[i % 2]}": one.array() for i, one in enumerate(STORED.values())})
    config = recsys.init(path, label="click") + "model: {tower: mlp, dim: 4, mlp: [4]}\ntrain: {epochs: 1}\n"
    run = recsys.train(config, runs_dir=tmp_path / "runs", cache_dir=tmp_path / "cache", device="cpu")
    run.evaluate(path, out=tmp_path / "rows.parquet", device="cpu")
    run.export(tmp_path / "bundle").predict_files(path, tmp_path / "scores.parquet")
    evaluated, scored = (pl.read_parquet(tmp_path / f"{name}.parquet")["score"] for name in ("rows", "scores"))
    assert len(scored) == ROWS
    np.testing.assert_allclose(scored, evaluated, rtol=0, atol=1e-6)
