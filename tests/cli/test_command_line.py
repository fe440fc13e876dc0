"""What commands print: sizes that `check` promises, tables that are whole, hints that can be pasted."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.table import Table

from recsys.cli import check, main
from recsys.config import load_config
from recsys.console import print_table
from recsys.data.prepare import prepare
from recsys.errors import DataError
from recsys.training import evaluate as training_evaluate
from recsys.training import run as training_run

Recsys = Callable[..., tuple[int, str, str]]
CONFIG: dict[str, Any] = {
    "label": "click",
    "features": {
        "user": {"type": "id", "min_count": 2},
        "item": {"type": "id", "max_size": 3},
        "price": {"type": "bucket", "quantiles": 4},
        "ts": {"type": "datetime", "parts": ["hour"]},
        "pair": {"type": "cross", "of": ["user", "item"]},
    },
    "data": {"train": "log.csv"},
}
ROWS = pl.DataFrame(
    {
        "user": [f"u{i // 2}" if i < 40 else f"once{i}" for i in range(80)],
        "item": [f"i{i % 10}" for i in range(80)],
        "price": [float(i) for i in range(80)],
        "ts": [1_600_000_000 + i for i in range(80)],
        "click": [i % 2 for i in range(80)],
    }
)


@pytest.fixture
def recsys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Recsys:
    """Run one command in a folder with run.yaml and log.csv; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    ROWS.write_csv("log.csv")
    write()

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["recsys", *arguments])
        capfd.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return int(code or 0), *capfd.readouterr()

    return call


def write(**changes: Any) -> None:
    Path("run.yaml").write_text(json.dumps(CONFIG | changes))


def ids(out: str) -> dict[str, str]:
    """Return the column `ids` of what check printed."""
    header, *lines = out.splitlines()
    start, end = header.index("ids"), header.index("table")
    return {line.split()[0]: line[start:end].strip() for line in lines if " (" in line}


def test_check_counts_as_training_will(recsys: Recsys) -> None:
    write(data={"train": "log.csv", "valid": "log.csv"})
    code, out, err = recsys("check", "run.yaml")
    assert (code, err) == (0, "")
    assert ids(out) == {"user": "21", "item": "4", "price": "5", "ts.hour": "25", "pair": "81"}
    prepared = prepare(load_config(Path("run.yaml")), Path(), Path(".recsys-cache"))
    assert {f.name: str(prepared.state.num_ids(f)) for f in prepared.resolved.fields} == ids(out)
    assert recsys("check", "run.yaml") == (0, out, "")


def test_check_says_at_most_where_rows_are_dealt_to_other_splits(recsys: Recsys) -> None:
    _, out, err = recsys("check", "run.yaml")
    assert ids(out) == {"user": "<= 21", "item": "<= 4", "price": "<= 5", "ts.hour": "25", "pair": "<= 81"}
    assert err == "Vocabularies were counted on all 80 rows; training counts what is left of them after the split.\n"


def test_check_says_at_least_where_rows_are_left_to_read(recsys: Recsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "SAMPLE_ROWS", 30)
    _, out, err = recsys("check", "run.yaml")
    assert ids(out)["user"] == ">= 16"
    assert err == "Vocabularies were counted on the first 30 rows; training counts all training rows.\n"


def test_check_reports_the_first_problem_of_each_column(recsys: Recsys) -> None:
    ROWS.with_columns(click=pl.lit(7), price=pl.lit("cheap"), ts=pl.lit("soon")).write_csv("log.csv")
    write(data={"train": "log.csv", "split": {"by": "time", "column": "user"}})
    code, out, err = recsys("check", "run.yaml")
    assert (code, out) == (2, "")
    assert [line.removeprefix("error: ").split(": ")[:2] for line in err.splitlines()] == [
        ["log.csv", f"column {name}"] for name in ("click", "user", "price", "ts")
    ]


@pytest.mark.parametrize("train", ["log.csv", "nothing.csv"])
def test_check_warns_of_rows_that_a_tower_cannot_tell_apart(train: str, recsys: Recsys) -> None:
    table = {"features": ["user", "item"], "scheme": "unified", "rows": 9}
    write(tables={"both": table}, model={"tower": "lr"}, data={"train": train})
    code, _, err = recsys("check", "run.yaml")
    assert code == 0
    assert err.startswith("warning: run.yaml:1: tables.both: its features share rows (scheme unified), and tower lr ")
    write(tables={"both": table}, data={"train": train})
    assert "warning" not in recsys("check", "run.yaml")[2]


def test_check_of_a_file_without_rows_says_so(recsys: Recsys) -> None:
    ROWS.clear().write_csv("log.csv")
    assert recsys("check", "run.yaml")[::2] == (2, "error: data.train: no training rows in log.csv\n")


def test_a_single_field_is_counted_in_the_singular(recsys: Recsys) -> None:
    write(features={"user": {"type": "id"}})
    assert "\n1 field, 1 table, " in recsys("check", "run.yaml")[1]


def test_tables_are_neither_cut_nor_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    table = Table("what", box=None)
    table.add_row("x" * 200)
    print_table(table)
    assert capsys.readouterr().out.split() == ["what", "x" * 200]


def interrupted(*arguments: Any, folder: Path, **options: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").touch()
    raise KeyboardInterrupt


def test_the_hint_after_ctrl_c_names_the_same_folders(recsys: Recsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_run, "train", interrupted)
    _, _, err = recsys("train", "run.yaml", "--data-dir", "my data", "--cache-dir", "c", "--name", "a")
    command = "recsys train run.yaml --resume runs/a --data-dir 'my data' --cache-dir c"
    assert err.splitlines()[1] == f"interrupted; to go on: {command}"


@pytest.fixture
def a_run(recsys: Recsys) -> None:
    """Make what looks like a run folder from outside."""
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.yaml").touch()


@pytest.mark.usefixtures("a_run")
def test_metrics_that_are_not_defined_are_null(recsys: Recsys, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = {"auc": float("nan"), "logloss": 0.5}
    monkeypatch.setattr(training_evaluate, "evaluate_files", lambda *arguments, **options: metrics)
    code, out, err = recsys("evaluate", "runs/a", "log.csv")
    assert (code, json.loads(out)) == (0, {"auc": None, "logloss": 0.5})
    assert err.startswith("null: not defined on these rows")


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
