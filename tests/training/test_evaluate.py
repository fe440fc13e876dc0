from pathlib import Path

import polars as pl
import pytest

from recsys.errors import DataError
from recsys.training.evaluate import evaluate_files
from recsys.training.run import TrainResult
from tests.training.logs import clicks, make_config, predictions, run


@pytest.fixture(scope="module")
def trained(log: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("runs")
    return run(log, folder / "run", make_config(folder, train={"epochs": 1}))


def test_evaluating_the_test_file_gives_the_figures_of_the_run(trained: TrainResult, log: Path, tmp_path: Path) -> None:
    metrics = evaluate_files(trained.folder, [str(log / "test.parquet")], out=tmp_path / "scores.parquet", device="cpu")
    assert metrics == {name.removeprefix("test."): v for name, v in trained.metrics.items() if name.startswith("test.")}
    assert pl.read_parquet(tmp_path / "scores.parquet").equals(predictions(trained.folder))


def test_several_files_are_one(trained: TrainResult, tmp_path: Path) -> None:
    rows = clicks(400, seed=2)
    rows.head(150).write_parquet(tmp_path / "a.parquet")
    rows.tail(250).write_parquet(tmp_path / "b.parquet")
    metrics = evaluate_files(trained.folder, [str(tmp_path / "*.parquet")], device="cpu")
    assert metrics["auc"] == trained.metrics["test.auc"]


def test_a_file_without_the_label_is_refused(trained: TrainResult, tmp_path: Path) -> None:
    clicks(10, seed=3).drop("click").write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet.*click"):
        evaluate_files(trained.folder, [str(tmp_path / "x.parquet")], device="cpu")
