"""`recsys compare` as a user calls it."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.cli.command_line import Recsys
from tests.judging.judged_models import write_run, write_scores


@pytest.fixture(autouse=True)
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2, 3):
        write_run(Path(f"runs/new-seed-{seed}"), noise=0.2, seed=seed)
        write_run(Path(f"runs/old-seed-{seed}"), noise=1, seed=seed + 3)
    write_scores(Path("other.parquet"), noise=2)
    Path("circle").symlink_to("circle")


def test_two_runs_are_compared_and_the_first_line_says_which_is_better(recsys: Recsys) -> None:
    ended = recsys("compare", "runs/old-seed-1", "runs/new-seed-1")
    assert ended.code == 0
    assert ended.out.startswith("runs/new-seed-1 is better than runs/old-seed-1: AUC 0.")
    assert "2,000 rows of the test split." in ended.out


def test_patterns_compare_over_seeds_and_files_take_part(recsys: Recsys) -> None:
    ended = recsys("compare", "runs/old-seed-*", "runs/new-seed-*", "other.parquet")
    assert ended.out.startswith("runs/new-seed-* is the best of 3: better than runs/old-seed-* and other.parquet (AUC")


def test_json_is_for_programs(recsys: Recsys) -> None:
    found = json.loads(recsys("compare", "runs/old-seed-*", "runs/new-seed-*", "--json", "--metric", "logloss").out)
    assert (found["best"], found["metric"], found["rows"]) == ("runs/new-seed-*", "logloss", 2000)
    assert len(found["models"][0]["figures"]["auc"]["seeds"]) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs/old-seed-1"], "needs at least two"),
        (["runs/old-seed-1", "runs/none"], "runs/none: there is no such file"),
        (["runs/old-seed-1", "circle"], "circle: there is no such file"),
        (["runs/old-seed-1", "other.parquet", "--score", "p"], "has no column 'p'"),
        (["runs/old-seed-1", "other.parquet", "--metric", "calibration"], "metric: must be one of auc"),
        (
            ["runs/old-seed-1", "runs/new-seed-1", "--split", "valid"],
            "no predictions of the valid split, but of the test",
        ),
    ],
)
def test_what_cannot_be_compared_ends_with_one_message(
    refused: Callable[..., str], arguments: list[str], words: str
) -> None:
    assert words in refused("compare", *arguments)


ODD = {
    "no rows": {"label": [], "score": []},
    "one row": {"label": [1], "score": [0.2]},
    "one class": {"label": [0, 0, 0], "score": [0.1, 0.2, 0.3]},
    "equal scores": {"label": [0, 1, 0], "score": [0.5, 0.5, 0.5]},
    "certain and wrong": {"label": [0, 1], "score": [1.0, 0.0]},
    "zero weights": {"label": [0, 1], "score": [0.1, 0.2], "weight": [0.0, 0.0]},
    "weights of all sizes": {"label": [0, 1, 1], "score": [0.1, 0.2, 0.3], "weight": [2e-45, 1.0, 3e38]},
    "no groups": {"label": [0, 1], "score": [0.1, 0.2], "group": [None, None]},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_predictions_have_the_figures_that_are_defined(recsys: Recsys, name: str) -> None:
    for path in ("a.parquet", "b.parquet"):
        pl.DataFrame(ODD[name]).with_columns(country=pl.lit("de")).write_parquet(path)
    found = recsys("evaluate", "a.parquet", "--by", "country")
    assert (found.code, json.loads(found.out)["rows"]) == (0, len(ODD[name]["label"]))
    assert "Warning" not in found.err
    ended = recsys("compare", "a.parquet", "b.parquet", "--by", "country")
    assert ended.code == 0
    assert "cannot be told apart" in ended.out.splitlines()[0]


def test_a_report_is_written_beside_what_is_printed(recsys: Recsys) -> None:
    ended = recsys("compare", "runs/old-seed-1", "runs/new-seed-1", "--report", "out")
    assert ended.out.startswith("runs/new-seed-1 is better than runs/old-seed-1")
    assert ended.err.splitlines()[-1] == "out/report.html is written"
    assert "runs/new-seed-1 is better than runs/old-seed-1" in Path("out/report.html").read_text()
