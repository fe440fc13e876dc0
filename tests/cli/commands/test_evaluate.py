"""`recsys evaluate`: a run's own rows and any model's scores, and where they are worst."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys.run_folder import RunFolder
from tests.cli.command_line import Recsys
from tests.judging.untrained_run import click_rows, run_config, untrained_run, write_parts


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    write_parts(tmp_path / "data", click_rows())
    return untrained_run(Path("runs/a"), tmp_path / "data")


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    click_rows(300).with_columns(p=pl.lit(0.3)).write_parquet("scores.parquet")
    return Path("scores.parquet")


def test_a_run_is_evaluated_on_its_own_rows_without_slices_that_nobody_asked_for(
    recsys: Recsys, run: RunFolder
) -> None:
    code, out, err = recsys("evaluate", "runs/a")
    metrics = json.loads(out)
    assert (code, err) == (0, "")
    assert metrics["rows"] == len(pl.read_parquet(run.predictions("test")))
    assert "slices" not in metrics


def test_slices_are_in_the_json_and_the_worst_are_shown(recsys: Recsys, run: RunFolder) -> None:
    code, out, err = recsys("evaluate", "runs/a", "--by", "country", "--by", "user", "--show", "2")
    slices = json.loads(out)["slices"]
    assert code == 0
    assert {row["column"] for row in slices} == {"country", "user"}
    lines = err.splitlines()
    assert "off by" in lines[0] or lines[0] == "on no slice is the calibration off for certain"
    assert len(lines) == 1 + 1 + 2 + 1
    assert f"--show {len(slices)} shows all" in lines[-1]


def test_a_pattern_stands_for_all_columns(recsys: Recsys, run: RunFolder) -> None:
    slices = json.loads(recsys("evaluate", "runs/a", "--by", "*").out)["slices"]
    assert {row["column"] for row in slices} == {"row", "user", "price", "tags", "country", "weight", "bought"}


def test_the_scores_of_any_model_are_evaluated_and_sliced(recsys: Recsys, scores: Path) -> None:
    code, out, _ = recsys("evaluate", scores, "--label", "clicked", "--score", "p", "--by", "country")
    assert code == 0
    assert json.loads(out)["rows"] == 300
    assert [row["column"] for row in json.loads(out)["slices"]] == ["country"] * 3


def test_each_task_has_its_slices(recsys: Recsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_parts(tmp_path / "data", click_rows())
    config = run_config(label={"click": "clicked", "buy": "bought"}, weight="weight")
    untrained_run(Path("runs/a"), tmp_path / "data", config)
    _, out, err = recsys("evaluate", "runs/a", "--by", "country")
    found = json.loads(out)
    assert {"click.auc", "buy.auc", "auc"} <= set(found)
    assert sorted(row["task"] for row in found["slices"]) == ["buy"] * 3 + ["click"] * 3
    assert err.splitlines()[1].split()[:3] == ["task", "column", "slice"]


REFUSED = {
    "a column that is none": (["runs/a", "--by", "contry"], "no column 'contry'; did you mean 'country'?"),
    "a column of a file that is none": (
        ["scores.parquet", "--label", "clicked", "--score", "p", "--by", "prise"],
        "scores.parquet: no column 'prise'; did you mean 'price'?",
    ),
    "a column of other files that is none, before they are scored": (
        ["runs/a", "scores.parquet", "--by", "prise"],
        "scores.parquet: no column 'prise'; did you mean 'price'?",
    ),
    "a run without predictions": (
        ["runs/a", "--split", "valid"],
        "runs/a: has no predictions of the valid split: its training has not come to its end",
    ),
    "no file": (["nowhere.parquet"], "nowhere.parquet: there is no such file"),
    "no run": (["nowhere"], "nowhere: not a run folder"),
    "columns of scores for a run": (["runs/a", "--label", "x"], "--label: only for a file of scores, but runs/a is"),
    "files for a file": (["scores.parquet", "data/part-0.parquet"], "scores.parquet: takes no files to score: it is"),
    "an output of its own rows": (["runs/a", "--out", "x.parquet"], "runs/a: takes no --out: its own predictions"),
    "a label column that is none": (
        ["scores.parquet", "--label", "clickd", "--score", "p"],
        "scores.parquet: has no column 'clickd' for the label; did you mean 'clicked'?",
    ),
    "labels that are none": (
        ["scores.parquet", "--label", "row", "--score", "p"],
        "scores.parquet: row: a label must be 0 or 1, or between them; got 2 in row 3",
    ),
    "scores that are no probabilities": (
        ["scores.parquet", "--label", "clicked", "--score", "row"],
        "must be between 0 and 1",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.usefixtures("run", "scores")
def test_what_cannot_be_evaluated_is_refused(refused: Callable[..., str], arguments: list[str], message: str) -> None:
    assert message in refused("evaluate", *arguments)


def test_a_run_whose_files_are_gone_is_refused_and_finds_them_where_they_are_now(
    recsys: Recsys, refused: Callable[..., str], run: RunFolder
) -> None:
    Path("data").rename("moved")
    assert "name the folder that they are in now by --data-dir" in refused("evaluate", "runs/a", "--by", "country")
    assert recsys("evaluate", "runs/a").code == 0
    assert recsys("evaluate", "runs/a", "--by", "country", "--data-dir", "moved").code == 0


def test_a_report_has_the_slices_of_the_features_and_prints_what_is_printed_without_it(
    recsys: Recsys, run: RunFolder
) -> None:
    plain = recsys("evaluate", "runs/a")
    ended = recsys("evaluate", "runs/a", "--report", "out")
    assert (ended.code, ended.out) == (0, plain.out)
    assert ended.err.splitlines()[-1] == "out/report.html is written"
    assert set(pl.read_csv("out/slices.csv")["column"]) == {"user", "price", "tags"}
    assert "Where it is weak" in Path("out/report.html").read_text()


def test_a_report_has_the_slices_that_were_asked_for(recsys: Recsys, run: RunFolder) -> None:
    recsys("evaluate", "runs/a", "--by", "country", "--report", "out")
    assert set(pl.read_csv("out/slices.csv")["column"]) == {"country"}


def test_a_report_of_a_run_whose_files_are_gone_has_no_slices_and_says_why(recsys: Recsys, run: RunFolder) -> None:
    Path("data").rename("moved")
    ended = recsys("evaluate", "runs/a", "--report", "out")
    assert ended.code == 0
    assert "the report has no slices: " in ended.err
    assert not Path("out/slices.csv").exists()


def test_the_scores_of_any_model_have_a_report(recsys: Recsys, scores: Path) -> None:
    recsys("evaluate", scores, "--label", "clicked", "--score", "p", "--report", "out")
    assert "<h1>scores.parquet</h1>" in Path("out/report.html").read_text()


@pytest.mark.parametrize("command", [["evaluate", "nowhere"], ["compare", "nowhere", "neither"]])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_read(
    refused: Callable[..., str], command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    assert "file: must be a folder for the report" in refused(*command, "--report", tmp_path / "file")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'recsys[plots]'" in refused(*command, "--report", tmp_path / "out")


def test_importance_of_a_file_of_scores_is_refused_before_it_is_read(refused: Callable[..., str], scores: Path) -> None:
    assert refused("evaluate", scores, "--report", "out", "--importance").startswith("scores.parquet: not a run folder")


def test_importance_is_shown_in_a_report_only(refused: Callable[..., str], run: RunFolder) -> None:
    assert "name its folder, --report DIR" in refused("evaluate", "runs/a", "--importance")
