from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys.config import Config, dump
from recsys.errors import DataError
from recsys.files import write_json
from recsys.judging.report.from_run import judged_run
from recsys.judging.report.page import page
from recsys.run_folder import RunFolder
from tests.judging.report.judgements import predictions


def run_folder(path: Path, **changes: Any) -> RunFolder:
    """Return a run of which only the facts are there that a page tells."""
    run = RunFolder(path)
    path.mkdir()
    config = Config.model_validate({"label": "click", "features": {"user": {"type": "id"}}, **changes})
    run.config.write_text(dump(config))
    write_json(run.data, {"prepared": "5dae", "splits": {"test": {"rows": 2000, "features": {"user": {"rows": 1}}}}})
    write_json(run.environment, {"recsys": "0.2.0", "packages": {"torch": "2.13.0"}})
    run.epochs.write_text('{"epoch": 1, "valid.auc": 0.7}\n{"epoch": 2, "valid.auc": null}\n')
    return run


def test_settings_data_versions_and_epochs_are_those_of_the_run(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", train={"epochs": 7})
    found = judged_run(run.path, {"": predictions()}, {"auc": 0.7}, about="test split")
    assert found.name == str(run.path)
    assert found.settings["Configuration"]["train.epochs"] == 7
    assert found.settings["Configuration"]["features.user.type"] == "id"
    assert found.settings["Data"] == {"prepared": "5dae", "test.rows": 2000}
    assert found.settings["Environment"] == {"recsys": "0.2.0", "packages.torch": "2.13.0"}
    assert [figures["epoch"] for figures in found.epochs] == [1, 2]
    assert (found.uncalibrated, found.figures_before) == ({}, {})


def test_what_a_calibrated_run_predicted_before_is_told_beside_what_it_predicts(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", calibration="isotonic")
    of = predictions()
    before = of.score**1.5
    found = judged_run(run.path, {"": replace(of, uncalibrated=before)}, {"logloss": 0.3}, about="test split")
    assert found.uncalibrated[""].score is before
    assert found.figures_before["calibration"] == pytest.approx(before.mean() / of.label.mean(), rel=0.01)
    text = page([found])
    assert "Before and after calibration" in text
    assert "Grey: before calibration." in text


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run folder"):
        judged_run(tmp_path, {}, {}, about="")
