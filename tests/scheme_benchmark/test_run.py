"""Whole comparisons, whose cells are trained in this process: to start a worker takes seconds."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.errors import ConfigError, DataError
from recsys.scheme_benchmark import run as compare_run
from recsys.scheme_benchmark.cell import Job, run_cell
from recsys.scheme_benchmark.result import read_result
from tests.scheme_benchmark.small_comparison import run
from tests.training.logs import clicks, make_config, write_log

pytestmark = pytest.mark.slow


def run_here(jobs: Sequence[Job], *, processes: int, threads: int, on_end: Callable[[Job, str | None], None]) -> None:
    for job in jobs:
        run_cell(job)
        on_end(job, None)


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_run, "run_jobs", run_here)


@pytest.fixture(scope="module")
def done(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `out`, a finished comparison; tests may delete what they bring back."""
    folder = tmp_path_factory.mktemp("comparison")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare_run, "run_jobs", run_here)
        outcome = run(folder, log)
    assert (outcome.trained, outcome.failed) == (4, [])
    return folder


def test_a_comparison_leaves_a_line_for_each_cell_a_report_and_a_picture(done: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((done / "out" / "results.csv").read_text())))
    assert [row["cell"] for row in rows] == [
        "full-seed-1",
        "hash-rows-17-seed-1",
        "hash-per_feature-rows-18-seed-1",
        "hash-rows-1-seed-1",
    ]
    assert all(row["status"] == "done" for row in rows)
    text = (done / "out" / "report.md").read_text()
    assert "- hash/per_feature: the least it can be is 64 B, 0.059 of full" in text
    assert text.count("| full (reference) |") == 2
    assert (done / "out" / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_a_cell_is_what_train_makes_of_its_config(done: Path, log: Path) -> None:
    result = read_result(done / "out", "hash-rows-17-seed-1")
    run_folder = done / "out" / "cells" / "hash-rows-17-seed-1" / "run"
    metrics = json.loads((run_folder / "metrics.json").read_text())
    assert result is not None
    assert (result.auc, result.logloss) == (metrics["test.auc"], metrics["test.logloss"])
    assert result.rows_per_second == metrics["rows_per_second"]
    assert pl.read_parquet(run_folder / "predictions" / "test.parquet").height == 400


def test_a_second_call_runs_nothing_and_writes_the_report_again(done: Path, log: Path) -> None:
    (done / "out" / "report.md").unlink()
    reports: list[Any] = []
    assert run(done, log, on_progress=lambda *report: reports.append(report)).trained == 0
    assert reports[-1] == ("cells", 4, 4)
    assert (done / "out" / "report.md").exists()


def test_a_removed_cell_is_run_again_and_no_other(done: Path, log: Path, no_workers: None) -> None:
    results = {path: path.stat().st_mtime_ns for path in (done / "out" / "cells").glob("*.json")}
    removed = done / "out" / "cells" / "hash-rows-17-seed-1.json"
    removed.unlink()
    lines: list[str] = []
    assert run(done, log, log=lines.append).trained == 1
    assert [line.split(": ")[:2] for line in lines] == [["cell 4 of 4", "hash-rows-17-seed-1"]]
    again = {path: path.stat().st_mtime_ns for path in results}
    assert {path for path in results if again[path] != results[path]} == {removed}


def test_another_configuration_is_refused_in_the_same_folder(done: Path, log: Path) -> None:
    other = make_config(done / "other", train={"epochs": 2})
    with pytest.raises(ConfigError, match=r"another configuration \('epochs: 1', now 'epochs: 2'\).* --out"):
        run(done, log, config=other)


def test_other_tables_in_the_configuration_make_no_difference(done: Path, log: Path) -> None:
    tables = {"users": {"features": ["user"], "scheme": "hash", "rows": 3}}
    assert run(done, log, config=make_config(done / "tables", train={"epochs": 1}, tables=tables)).trained == 0


def test_other_data_is_refused_in_the_same_folder(done: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    clicks(400, seed=9).write_parquet(log / "valid.parquet")
    with pytest.raises(DataError, match="the data files have changed since it was started"):
        run(done, log)


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, log: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match=r"is not a comparison \(it holds thesis.tex\)"):
        run(tmp_path, log)


def test_data_that_teaches_nothing_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log")
    clicks(400, seed=1).with_columns(click=1).write_parquet(folder / "valid.parquet")
    with pytest.raises(DataError, match="AUC needs both classes"):
        run(tmp_path, folder)
