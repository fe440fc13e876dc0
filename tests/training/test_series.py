"""Runs of a series; who may go on with one is tested with searches and comparisons."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from recsys.data.prepare import prepare
from recsys.errors import DataError
from recsys.training import series
from recsys.training.series import check_same_series, train_to_end
from tests.training.logs import make_config

pytestmark = pytest.mark.slow


def end(log: Path, folder: Path, lines: list[str] | None = None) -> dict[str, float]:
    config = make_config(folder.with_name("config"), train={"epochs": 2})
    said = [] if lines is None else lines
    options: dict[str, Any] = {"device": "cpu", "log": said.append, "evaluated": ("valid",)}
    return train_to_end(config, folder, data_dir=log, cache_dir=log / "cache", **options)


def test_a_finished_run_is_not_trained_again(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = end(log, tmp_path / "run")
    monkeypatch.setattr(series, "train", None)
    assert end(log, tmp_path / "run") == first


def test_a_stopped_run_goes_on_and_one_without_checkpoints_begins_again(log: Path, tmp_path: Path) -> None:
    first = end(log, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    lines: list[str] = []
    assert end(log, tmp_path / "run", lines)["valid.auc"] == first["valid.auc"]
    assert "training was over after epoch 2" in lines
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    lines.clear()
    assert end(log, tmp_path / "run", lines)["valid.auc"] == first["valid.auc"]
    assert any(line.startswith("epoch 1") for line in lines)


def test_splits_that_are_not_evaluated_are_not_scored(log: Path, tmp_path: Path) -> None:
    metrics = end(log, tmp_path / "run")
    assert not [name for name in metrics if name.startswith("test.")]
    assert sorted(path.name for path in (tmp_path / "run" / "predictions").glob("*.parquet")) == ["valid.parquet"]


@pytest.mark.parametrize(
    ("content", "problem"), [("[]", "it must hold an object"), ('{"prepared": "x"}', "it has no config")]
)
def test_a_record_of_a_series_that_was_edited_is_refused(content: str, problem: str, log: Path, tmp_path: Path) -> None:
    record = tmp_path / "search.json"
    record.write_text(content)
    prepared = prepare(make_config(tmp_path / "config"), log, log / "cache")
    with pytest.raises(DataError, match=rf"search\.json: is damaged: {problem}.*; name a new folder"):
        check_same_series(
            record, {"config": "a: 1"}, prepared, kind="a search", reason="", remedy="name a new folder with --out"
        )
