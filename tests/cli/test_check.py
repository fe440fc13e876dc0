"""What `recsys check` promises is what training finds."""

from pathlib import Path

import polars as pl
import pytest

from recsys.cli import sample
from recsys.config import load_config
from recsys.data.prepare import prepare
from tests.cli.command_line import Recsys
from tests.cli.small_log import ROWS, write_config, write_log_and_config


@pytest.fixture(autouse=True)
def _log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder with run.yaml and log.csv the current one."""
    monkeypatch.chdir(tmp_path)
    write_log_and_config()


COVERED = "user: unknown 50 % of train\nitem: unknown 70 % of train\n"
"""Half of the users occur once, and 3 of 10 items have an id."""
COVERED_TWICE = COVERED.replace("train", "train, 50 % of valid", 1).replace(
    "70 % of train", "70 % of train, 70 % of valid"
)


def ids(out: str) -> dict[str, str]:
    """Return the column `ids` of what check printed."""
    header, *lines = out.splitlines()
    start, end = header.index("ids"), header.index("table")
    return {line.split()[0]: line[start:end].strip() for line in lines if " (" in line}


def test_check_counts_as_training_will(recsys: Recsys) -> None:
    write_config(data={"train": "log.csv", "valid": "log.csv"})
    code, out, err = recsys("check", "run.yaml")
    assert (code, err) == (0, COVERED_TWICE)
    assert ids(out) == {"user": "21", "item": "4", "price": "5", "ts.hour": "25", "pair": "81"}
    prepared = prepare(load_config(Path("run.yaml")), Path(), Path(".recsys-cache"))
    assert {f.name: str(prepared.state.num_ids(f)) for f in prepared.resolved.fields} == ids(out)
    assert recsys("check", "run.yaml") == (0, out, COVERED_TWICE)


def test_check_says_at_most_where_rows_are_dealt_to_other_splits(recsys: Recsys) -> None:
    _, out, err = recsys("check", "run.yaml")
    assert ids(out) == {"user": "<= 21", "item": "<= 4", "price": "<= 5", "ts.hour": "25", "pair": "<= 81"}
    counted = "Vocabularies were counted on all 80 rows; training counts what is left of them after the split.\n"
    assert err == counted + COVERED


def test_check_says_at_least_where_rows_are_left_to_read(recsys: Recsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "SAMPLE_ROWS", 30)
    _, out, err = recsys("check", "run.yaml")
    assert ids(out)["user"] == ">= 16"
    assert err.startswith("Vocabularies were counted on the first 30 rows; training counts all training rows.\n")


def test_check_reports_the_first_problem_of_each_column(recsys: Recsys) -> None:
    ROWS.with_columns(click=pl.lit(7), price=pl.lit("cheap"), ts=pl.lit("soon")).write_csv("log.csv")
    write_config(data={"train": "log.csv", "split": {"by": "time", "column": "user"}})
    code, out, err = recsys("check", "run.yaml")
    assert (code, out) == (2, "")
    assert [line.removeprefix("error: ").split(": ")[:2] for line in err.splitlines()] == [
        ["log.csv", f"column {name}"] for name in ("click", "user", "price", "ts")
    ]


@pytest.mark.parametrize("train", ["log.csv", "nothing.csv"])
def test_check_warns_of_rows_that_a_tower_cannot_tell_apart(train: str, recsys: Recsys) -> None:
    table = {"features": ["user", "item"], "scheme": "unified", "rows": 9}
    write_config(tables={"both": table}, model={"tower": "lr"}, data={"train": train})
    code, _, err = recsys("check", "run.yaml")
    assert code == 0
    assert err.startswith("warning: run.yaml:1: tables.both: its features share rows (scheme unified), and tower lr ")
    write_config(tables={"both": table}, data={"train": train})
    assert "warning" not in recsys("check", "run.yaml")[2]


def test_check_of_a_file_without_rows_says_so(recsys: Recsys) -> None:
    ROWS.clear().write_csv("log.csv")
    assert recsys("check", "run.yaml")[::2] == (2, "error: data.train: no training rows in log.csv\n")


@pytest.mark.parametrize(
    ("split", "rows", "code", "said"),
    [
        (
            "train",
            ROWS.with_columns(click=0),
            2,
            "error: data.train: click is 0 in all 80 rows; AUC needs both classes",
        ),
        (
            "valid",
            ROWS.with_columns(click=1),
            2,
            "error: data.valid: click is 1 in all 80 rows; AUC needs both classes",
        ),
        ("valid", ROWS.with_columns(price=0.0), 2, "error: data.valid: price is 0 in all 80 rows; AUC needs both"),
        ("valid", ROWS.clear(), 2, "error: data.valid: has no rows, and the best epoch is chosen on them"),
        ("test", ROWS.clear(), 0, "warning: data.test: has no rows, so that there are no figures of it"),
        ("test", ROWS.with_columns(click=0), 0, "warning: data.test: click is 0 in all 80 rows; figures that need"),
    ],
)
def test_check_says_as_training_does_that_files_lack_rows_or_a_class(
    split: str, rows: pl.DataFrame, code: int, said: str, recsys: Recsys
) -> None:
    rows.write_csv("odd.csv")
    write_config(data=dict.fromkeys(["train", "valid", "test"], "log.csv") | {split: "odd.csv"}, weight="price")
    for is_prepared in (False, True):
        if is_prepared:
            prepare(load_config(Path("run.yaml")), Path(), Path(".recsys-cache"))
        found, _, err = recsys("check", "run.yaml")
        assert (found, said in err) == (code, True)


def test_check_does_not_judge_files_of_which_rows_are_left_to_read(
    recsys: Recsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    ROWS.sort("click").write_csv("log.csv")
    write_config(data={"train": "log.csv", "valid": "log.csv"})
    monkeypatch.setattr(sample, "SAMPLE_ROWS", 30)
    monkeypatch.setattr(sample, "OTHER_ROWS", 30)
    assert recsys("check", "run.yaml")[0] == 0


def test_a_single_field_is_counted_in_the_singular(recsys: Recsys) -> None:
    write_config(features={"user": {"type": "id"}})
    assert "\n1 field, 1 table, " in recsys("check", "run.yaml")[1]


def test_check_warns_of_histories_and_of_columns_that_tell_nothing(recsys: Recsys) -> None:
    """Whether the data was prepared or not: entries written otherwise than the item, other ids in another split."""
    rows = ROWS.with_columns(hist="item " + pl.col("item") + ";none", nothing=pl.lit(None, pl.String))
    rows.write_csv("log.csv")
    rows.with_columns(item="no " + pl.col("item")).write_csv("valid.csv")
    features = {
        "item": {"type": "id"},
        "hist": {"type": "sequence", "of": "item", "separator": ";"},
        "nothing": {"type": "id"},
    }
    write_config(features=features, data={"train": "log.csv", "valid": "valid.csv"})
    _, _, err = recsys("check", "run.yaml")
    warnings = [line for line in err.splitlines() if line.startswith("warning: data.")]
    assert [line.split(",")[0].split(";")[0] for line in warnings] == [
        "warning: data.train: no entry of hist is a value of item",
        "warning: data.train: nothing has no value in any of 80 rows",
        "warning: data.valid: 100 % of the values of item are unknown",
        "warning: data.valid: nothing has no value in any of 80 rows",
    ]
    prepare(load_config(Path("run.yaml")), Path(), Path(".recsys-cache"))
    assert recsys("check", "run.yaml").err == err


def test_check_says_how_many_rows_are_left_without_most_negatives(
    recsys: Recsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(data={"train": "log.csv", "valid": "log.csv", "negative_rate": 0.5})
    _, out, err = recsys("check", "run.yaml")
    prepared = prepare(load_config(Path("run.yaml")), Path(), Path(".recsys-cache"))
    assert {f.name: str(prepared.state.num_ids(f)) for f in prepared.resolved.fields} == ids(out)
    left = prepared.splits["train"]
    said = f"data.negative_rate 0.5 leaves {left.num_rows} of 80 {{}}, without {left.left_out} negatives\n"
    assert said.format("rows of data.train") in err
    assert said.format("training rows") in recsys("check", "run.yaml")[2]
    monkeypatch.setattr(sample, "SAMPLE_ROWS", 40)
    write_config(data={"train": "log.csv", "valid": "log.csv", "negative_rate": 0.4})
    assert " of 40 first rows of data.train, without " in recsys("check", "run.yaml")[2]
