from pathlib import Path
from typing import Any

import pytest

from recsys.config import dump, resolve
from recsys.config.schemes.int8 import Int8Table
from recsys.config.seeds import with_fixed_split
from recsys.data.prepare import prepare
from recsys.embeddings import Full
from recsys.errors import ConfigError
from recsys.scheme_benchmark.grid import Grid, make_grid
from recsys.scheme_benchmark.variants import choose_variants, parse_budgets
from tests.training.logs import make_config

NUM_IDS = 34
DIM = 8


class Quarter(Full):
    """Has one size, a quarter of the bytes of the full table."""

    def serving_bytes(self) -> int:
        return super().serving_bytes() // 4


def grid_of(log: Path, folder: Path, schemes: str, budgets: str, seeds: int = 1, **changes: Any) -> Grid:
    prepared = prepare(make_config(folder, **changes), log, log / "cache")
    return make_grid(prepared, choose_variants(schemes), parse_budgets(budgets), seeds=seeds)


def names(grid: Grid) -> list[str]:
    return [cell.name for cell in grid.cells()]


def test_each_seed_has_a_cell_for_full_and_for_each_budget_the_largest_first(log: Path, tmp_path: Path) -> None:
    found = grid_of(log, tmp_path, "full,hash,hash/per_feature", "0.25,0.5", seeds=2)
    first = ["full-seed-1", "hash-rows-17", "hash-per_feature-rows-18", "hash-rows-8", "hash-per_feature-rows-9"]
    assert [name.removesuffix("-seed-1") for name in names(found)[1:5]] == first[1:]
    assert names(found)[0] == "full-seed-1"
    assert names(found)[5:] == [name.replace("seed-1", "seed-2") for name in names(found)[:5]]
    assert found.full_bytes == 4 * DIM * NUM_IDS


def test_a_cell_is_a_valid_config_with_one_table(log: Path, tmp_path: Path) -> None:
    base = make_config(tmp_path, tables={"users": {"features": ["user"], "scheme": "hash", "rows": 3}})
    cell = grid_of(log, tmp_path, "hash/per_feature", "0.5", seeds=2).cells()[1]
    resolved = resolve(cell.config(base), [])
    assert [(table.fields, table.dim) for table in resolved.tables] == [(("user", "item", "seen"), DIM)]
    assert resolved.config.train.seed == 2
    assert "rows: 18" in dump(resolved)


def test_budget_that_come_to_the_same_training_share_its_cell(log: Path, tmp_path: Path) -> None:
    assert names(grid_of(log, tmp_path, "hash", "0.5,0.501,544B")) == ["hash-rows-17-seed-1"]


def test_a_search_has_a_cell_for_each_budget_that_starts_from_a_full_table_for_each_feature(
    log: Path, tmp_path: Path
) -> None:
    base = make_config(tmp_path, tables={"users": {"features": ["user"], "scheme": "hash", "rows": 3}})
    cells = grid_of(log, tmp_path, "full,dnis", "0.5,544B,0.25", seeds=2).cells()
    assert [cell.name for cell in cells[:3]] == ["full-seed-1", "dnis-bytes-544-seed-1", "dnis-bytes-272-seed-1"]
    resolved = resolve(cells[-1].config(base), [])
    assert {(table.name, table.spec.scheme) for table in resolved.tables} == {("user", "full"), ("item", "full")}
    assert resolved.config.train.seed == 2


def test_a_search_takes_no_open_vocabulary(log: Path, tmp_path: Path) -> None:
    features = {"user": {"type": "id", "vocabulary": "open"}, "item": {"type": "id"}}
    tables = {"users": {"features": ["user"], "scheme": "unified", "rows": 8}}
    entries = grid_of(log, tmp_path, "dnis", "100B", features=features, tables=tables).entries
    assert [(entry.spec, entry.reason) for entry in entries] == [
        (None, "it takes no open vocabulary, which 'user' has")
    ]


def test_a_scheme_of_one_size_is_run_once_and_listed_where_it_fits(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Int8Table, "implementation", Quarter)
    found = grid_of(log, tmp_path, "int8", "0.5,0.25,0.1")
    assert names(found) == ["int8-seed-1"]
    assert [entry.budget for entry in found.entries if entry.spec] == ["0.5", "0.25"]
    assert found.entries[2].reason == "the least it can be is 272 B, 0.25 of full"


def test_a_budget_out_of_reach_is_listed_with_the_floor_and_not_run(log: Path, tmp_path: Path) -> None:
    found = grid_of(log, tmp_path, "hash,hash/per_feature", "40B")
    assert names(found) == ["hash-rows-1-seed-1"]
    assert found.entries[1].reason == "the least it can be is 64 B, 0.059 of full"


def test_open_vocabularies_have_no_full_table_and_no_fractions(log: Path, tmp_path: Path) -> None:
    features = {"user": {"type": "id", "vocabulary": "open"}, "item": {"type": "id"}}
    tables = {"all": {"features": ["user"], "scheme": "hash", "rows": 9}}
    found = grid_of(log, tmp_path, "full,hash", "1kB", features=features, tables=tables)
    assert names(found) == ["hash-rows-31-seed-1"]
    assert found.entries[0].reason == "it takes no open vocabulary, which 'user' has"
    with pytest.raises(ConfigError, match=r"'user' has an open vocabulary, of which no fraction \(0.5\) can be taken"):
        grid_of(log, tmp_path, "hash", "1kB,0.5", features=features, tables=tables)


def test_without_ids_there_is_nothing_to_compress(log: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none has ids"):
        grid_of(log, tmp_path, "hash", "0.5", features={"price": {"type": "number"}})


def test_every_seed_sees_the_same_rows_where_they_are_dealt_at_random(log: Path, tmp_path: Path) -> None:
    base = with_fixed_split(make_config(tmp_path, data={"train": "train.parquet"}))
    cells = grid_of(log, tmp_path, "full,hash", "0.5", seeds=2).cells()
    folders = {prepare(cell.config(base), log, log / "cache").folder for cell in cells}
    assert len(folders) == 1
    assert folders == {prepare(make_config(tmp_path, data={"train": "train.parquet"}), log, log / "cache").folder}


def test_a_split_that_is_given_stays_as_it_is(tmp_path: Path) -> None:
    given = make_config(tmp_path)
    assert with_fixed_split(given) == given
    timed = make_config(tmp_path, data={"train": "train.parquet", "split": {"by": "time", "column": "price"}})
    assert with_fixed_split(timed) == timed
