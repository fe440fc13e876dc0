from pathlib import Path

import pytest

from recsys.errors import DataError
from recsys.run_folder import RunFolder


def test_a_folder_without_a_configuration_is_no_run(tmp_path: Path) -> None:
    assert not RunFolder(tmp_path).is_run
    with pytest.raises(DataError, match=r"not a run folder: it has no config\.yaml"):
        RunFolder(tmp_path).require_run()
    with pytest.raises(DataError, match=r"not a run folder: it has no config\.yaml"):
        RunFolder(tmp_path / "nowhere").read_metrics()


def test_a_run_that_is_not_finished_has_no_metrics(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    with pytest.raises(DataError, match=r"has no metrics\.json: train it to the end first \(recsys train CONFIG --res"):
        RunFolder(tmp_path).read_metrics()


def test_epochs_are_read_in_order_and_none_before_the_first(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).read_epochs() == []
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    assert [line["epoch"] for line in RunFolder(tmp_path).read_epochs()] == [1, 2]


def test_metrics_of_a_finished_run_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    (tmp_path / "metrics.json").write_text('{"test.auc": 0.75}')
    assert RunFolder(tmp_path).read_metrics() == {"test.auc": 0.75}
