"""`recsys tables`: what tables cost before anything is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from tests.cli.command_line import Recsys
from tests.training.logs import BASE, clicks, write_config, write_log

Refused = Callable[..., str]
IDS = {"user": 21, "item": 13}
"""Ids that the log has, the unknown one included; the dim is 8."""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write_log(tmp_path)


def one_table(**spec: Any) -> dict[str, Any]:
    return {"tables": {"all": {"features": ["*"], **spec}}}


def cells(out: str, first: str) -> list[str]:
    """Return the words of the first line that begins with `first`."""
    return next(line.split() for line in out.splitlines() if line.split()[:1] == [first])


def test_full_tables_are_shown_with_their_bytes(recsys: Recsys, own: Path) -> None:
    write_config(own / "run.yaml")
    shown = recsys("tables", "run.yaml")
    assert shown.code == 0
    training, serving = 21 * (8 + 1) * 4, 21 * 8 * 4  # row-wise Adagrad keeps one float a row
    line = f"user full 21 x 8 {training} B {training} B {serving} B 100.0%"
    assert cells(shown.out, "user") == line.split()
    assert cells(shown.out, "total") == ["total", "1.2", "kB", "1.2", "kB", "1.1", "kB", "100.0%"]
    users, items = (line.split() for line in shown.out.splitlines() if " 8 " in line and " x " not in line)
    assert users == ["user", "full", "8", "21", "0", "0", "0.0%"]
    assert items == ["item", "(and", "seen)", "full", "8", "13", "0", "0", "0.0%"]
    assert shown.out.endswith("recsys tables run.yaml --what-if 0.1\n")


def test_collisions_are_counted_with_the_values_they_affect(recsys: Recsys, own: Path) -> None:
    write_config(own / "run.yaml", features={"user": {"type": "id"}}, **one_table(scheme="hash", rows=15))
    shown = recsys("tables", "run.yaml")
    counts = pl.read_parquet("train.parquet")["user"].value_counts(sort=True)["count"].to_list()
    by_id = [0, *counts]
    shared = sum(count for i, count in enumerate(by_id) if i < 6 or i >= 15)  # 21 ids modulo 15
    *found, uses = cells(shown.out.split("expected", 1)[1], "user")
    assert found == ["user", "hash", "8", "21", "12", "(57.1%)", "12", "(57.1%)"]
    assert uses == f"{shared / sum(by_id):.1%}"


def test_the_parts_of_a_table_are_shown_below_it(recsys: Recsys, own: Path) -> None:
    write_config(own / "run.yaml", **one_table(scheme="unified", rows=4, exact_below=15))
    shown = recsys("tables", "run.yaml")
    whole, shared, item = (shown.out.splitlines()[place] for place in (1, 2, 3))
    assert whole.split()[:3] == ["all", "2", "parts:"]
    assert shared.split()[:5] == ["(shared)", "unified", "4", "x", "8"]
    assert item.split()[:5] == ["item", "full", "13", "x", "8"]
    assert item.startswith("  ")


def test_training_finds_what_was_prepared(recsys: Recsys, own: Path) -> None:
    write_config(own / "run.yaml", train={"epochs": 1})
    recsys("tables", "run.yaml")
    (prepared,) = (own / ".recsys-cache").iterdir()
    before = (prepared / "manifest.json").stat().st_mtime_ns
    assert recsys("train", "run.yaml", "--device", "cpu").code == 0
    assert [path.name for path in (own / ".recsys-cache").iterdir()] == [prepared.name]
    assert (prepared / "manifest.json").stat().st_mtime_ns == before


def test_what_if_shows_every_scheme_at_a_budget(recsys: Recsys, own: Path) -> None:
    write_config(own / "run.yaml")
    shown = recsys("tables", "run.yaml", "--what-if", "0.5")
    assert shown.code == 0
    assert "2 vocabularies of 34 ids, dim 8; full 1.1 kB, budget 544 B" in shown.out
    order = [line.split()[0] for line in shown.out.split("\n\n")[1].splitlines()[1:]]
    assert order[:2] == ["full", "int8"]  # by the bytes of training
    assert set(order[-3:]) == {"dhe", "dpq", "mgqe"}  # out of reach
    assert cells(shown.out, "hash")[1:5] == ["rows:", "17", "544", "B"]
    assert cells(shown.out, "hash")[8] == "8"  # of 21 users modulo 17
    assert cells(shown.out, "int16")[1:5] == ["-", "544", "B", "50.0%"]
    assert cells(shown.out, "dhe")[1:4] == ["-", ">=", "1.1"]
    assert cells(shown.out, "dhe")[-4:] == ["cannot", "be", "made", "smaller"]


def test_what_if_ends_with_a_section_to_paste(recsys: Recsys, own: Path) -> None:
    config = write_config(own / "run.yaml")
    shown = recsys("tables", "run.yaml", "--what-if", "0.5", "--cache-dir", "my cache")
    snippet = "tables:" + shown.out.split("\ntables:")[1].split("\n\n")[0]
    assert shown.out.endswith("\nrecsys train run.yaml --cache-dir 'my cache'\n")
    write_config(config, tables=YAML(typ="safe").load(snippet)["tables"])
    again = recsys("tables", "run.yaml")
    assert again.code == 0
    share = float(cells(again.out, "total")[-1].removesuffix("%"))
    assert 40 < share <= 50


def test_with_an_open_vocabulary_only_bytes_can_be_asked(recsys: Recsys, own: Path, refused: Refused) -> None:
    features = BASE["features"] | {"user": {"type": "id", "vocabulary": "open"}}
    write_config(own / "run.yaml", features=features, **one_table(scheme="hash", rows=30))
    message = refused("tables", "run.yaml", "--what-if", "0.5")
    assert message == "--what-if: 'user' has an open vocabulary, of which no fraction can be taken; give bytes"
    hint = recsys("tables", "run.yaml").out.split()[-1]
    assert hint == "96B"
    shown = recsys("tables", "run.yaml", "--what-if", hint)
    assert shown.code == 0
    assert cells(shown.out, "hash")[1:3] == ["rows:", "3"]
    assert cells(shown.out, "qr")[-4:] == ["takes", "no", "open", "vocabulary"]
    assert "full" not in shown.out.split("note")[1].split()


@pytest.mark.parametrize("budget", ["2", "much", "10 XB", "0"])
def test_a_budget_that_is_none_is_refused(budget: str, own: Path, refused: Refused) -> None:
    write_config(own / "run.yaml")
    assert refused("tables", "run.yaml", "--what-if", budget).startswith("--what-if: ")


@pytest.mark.parametrize("command", ["tables", "check"])
def test_a_budget_out_of_reach_names_the_floor_and_who_can_reach_it(
    command: str, recsys: Recsys, own: Path, refused: Refused
) -> None:
    write_config(own / "run.yaml")
    recsys("tables", "run.yaml")  # so that `check` knows the sizes
    write_config(own / "run.yaml", **one_table(scheme="int8", budget=0.1))
    message = refused(command, "run.yaml")
    assert message.startswith(
        "run.yaml:1: tables.all.budget: scheme int8 cannot be made as small as 108 B; the least it can be is 272 B; "
        "schemes that can reach the budget: hash, unified, "
    )


def test_check_does_not_refuse_what_it_cannot_know(recsys: Recsys, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.cli.sample.SAMPLE_ROWS", 5)
    write_config(own / "run.yaml", **one_table(scheme="qr", budget=0.3))
    checked = recsys("check", "run.yaml")
    assert checked.code == 0
    assert cells(checked.out, "user")[-1] == "?"
    assert "0 B when served and what is not known yet" in checked.out


def test_check_shows_the_bytes_of_the_scheme(recsys: Recsys, own: Path) -> None:
    write_config(own / "run.yaml", **one_table(scheme="int8"))
    checked = recsys("check", "run.yaml")
    assert cells(checked.out, "user")[-2:] == ["272", "B"]
    assert "4 fields, 1 table, 272 B when served" in checked.out


@pytest.mark.parametrize("options", [(), ("--what-if", "0.1")])
def test_a_config_without_data_is_refused(options: tuple[str, ...], own: Path, refused: Refused) -> None:
    write_config(own / "run.yaml", data=None)
    assert refused("tables", "run.yaml", *options) == "data.train: no training files are given"


def test_a_config_without_ids_has_no_tables(recsys: Recsys, own: Path, refused: Refused) -> None:
    write_config(own / "run.yaml", features={"price": {"type": "number"}})
    assert cells(recsys("tables", "run.yaml").out, "total") == ["total", "0", "B", "0", "B", "0", "B", "-"]
    message = refused("tables", "run.yaml", "--what-if", "0.1")
    assert message == "features: none has ids, so there is nothing to store"


def test_names_with_brackets_are_shown(recsys: Recsys, own: Path) -> None:
    clicks(50, seed=1).rename({"user": "user[raw]"}).write_parquet("train.parquet")
    write_config(own / "run.yaml", features={"user[raw]": {"type": "id"}}, group=None, data={"train": "train.parquet"})
    assert "user[raw]" in recsys("tables", "run.yaml").out
