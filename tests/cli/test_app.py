"""How the command line ends: results, hints that can be pasted, and refusals."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.errors import DataError
from recsys.training import evaluate as training_evaluate
from recsys.training import run as training_run
from tests.cli.command_line import Recsys
from tests.cli.small_log import ROWS, write_log_and_config


@pytest.fixture(autouse=True)
def _log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder with run.yaml and log.csv the current one."""
    monkeypatch.chdir(tmp_path)
    write_log_and_config()


def interrupted(*arguments: Any, folder: Path, **options: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").touch()
    raise KeyboardInterrupt


def test_the_hint_after_ctrl_c_names_the_same_folders(recsys: Recsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_run, "train", interrupted)
    _, _, err = recsys("train", "run.yaml", "--data-dir", "my data", "--cache-dir", "c", "--name", "a")
    command = "recsys train run.yaml --resume runs/a --data-dir 'my data' --cache-dir c"
    assert err.splitlines()[1] == f"interrupted; to resume: {command}"


@pytest.fixture
def a_run(recsys: Recsys) -> None:
    """Make what looks like a run folder from outside."""
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.yaml").touch()


def test_metrics_that_are_not_defined_are_null(recsys: Recsys) -> None:
    pl.DataFrame({"label": [1, 1, 1], "score": [0.5, 0.25, 0.75]}).write_parquet("scores.parquet")
    code, out, err = recsys("evaluate", "scores.parquet")
    assert (code, json.loads(out)["auc"], json.loads(out)["rows"]) == (0, None, 3)
    assert err.splitlines()[-1].startswith("null: not defined on these rows")


@pytest.mark.usefixtures("a_run")
def test_evaluate_does_not_overwrite_what_it_reads(recsys: Recsys) -> None:
    ROWS.write_parquet("log.parquet")
    code, _, err = recsys("evaluate", "runs/a", "*.parquet", "--out", "log.parquet")
    assert (code, err) == (2, "error: log.parquet: is one of the files to read, and would be overwritten\n")


def test_a_path_that_cannot_be_written_is_named(recsys: Recsys) -> None:
    code, _, err = recsys("train", "run.yaml", "--cache-dir", "log.csv")
    assert (code, err.splitlines()[-1]) == (2, "error: log.csv: cannot be read or written: File exists")


@pytest.mark.usefixtures("a_run")
def test_a_data_error_is_a_refusal(recsys: Recsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise DataError("here: rule, value")

    monkeypatch.setattr(training_evaluate, "evaluate_files", broken)
    assert recsys("evaluate", "runs/a", "log.csv") == (2, "", "error: here: rule, value\n")
