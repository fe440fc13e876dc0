"""Predictions, figures and slices of a run's own rows, of files that it scores, and of any model's scores."""

from pathlib import Path

import polars as pl
import pytest

from recsys.data.synthetic import generate
from recsys.data.synthetic.shop import PLANTED_APP
from recsys.errors import DataError
from recsys.judging.evaluated import evaluate_scores, evaluate_split
from tests.judging.untrained_run import click_rows, untrained_run, write_parts
from tests.training.logs import make_config, run


@pytest.mark.slow
def test_a_trained_run_is_worst_on_the_planted_slice_that_none_of_its_features_knows(tmp_path: Path) -> None:
    generate(tmp_path / "log", rows=60_000, num_users=200, num_items=100, mean_history=2.0, planted_slice=True)
    config = make_config(
        tmp_path / "config",
        label="clicked",
        group=None,
        features={name: {"type": "id"} for name in ("segment", "device", "category", "position")},
        data={"train": "train/*.parquet", "valid": "valid.parquet", "test": "test.parquet"},
        train={"epochs": 1},
    )
    trained = run(tmp_path / "log", tmp_path / "run", config)
    table = evaluate_split(trained.folder, by=["app", "segment", "device", "position", "ts"]).slices
    assert table is not None
    assert table.select("column", "slice").row(0) == ("app", PLANTED_APP)
    assert table["calibration_high"][0] < 0.9
    assert table["miscalibration"][0] > 0.05


def test_figures_and_slices_are_those_of_the_same_rows(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", click_rows())
    folder = untrained_run(tmp_path / "run", tmp_path / "data")
    found = evaluate_split(folder.path, by=["country"])
    assert found.slices is not None
    assert found.slices["rows"].sum() == found.metrics["rows"]
    assert found.slices["positives"].sum() == found.metrics["positives"]
    assert found.about == "test split"
    assert evaluate_split(folder.path).slices is None
    scores = evaluate_scores(folder.predictions("test"), by=["group"])
    assert scores.metrics == found.metrics


def test_a_file_of_predictions_that_was_edited_is_refused(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", click_rows())
    folder = untrained_run(tmp_path / "run", tmp_path / "data")
    pl.read_parquet(folder.predictions("test"))[1:].write_parquet(folder.predictions("test"))
    with pytest.raises(DataError, match=r"the raw files have changed since they were scored"):
        evaluate_split(folder.path, by=["country"])
