"""Raw columns lie beside the predictions of their rows, or are refused."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.errors import DataError
from recsys.evaluation.predictions import Predictions, read_predictions
from recsys.features.values import to_keys
from recsys.judging.groupings import RawColumn
from recsys.judging.raw_columns import columns_beside_scores, columns_of_files, columns_of_split
from recsys.judging.slices import slices
from recsys.run_folder import RunFolder
from tests.judging.untrained_run import click_rows, run_config, untrained_run, write_parts

CONFIGS: dict[str, dict[str, Any]] = {
    "at random": {},
    "by time": {"data": {"train": "part-*.parquet", "split": {"by": "time", "column": "row"}}},
    "files": {"data": {"train": "part-0.parquet", "valid": "part-0.parquet", "test": "part-1.parquet"}},
    "weights and two tasks": {"label": {"click": "clicked", "buy": "bought"}, "weight": "weight"},
}


def read(run: RunFolder, *by: str, **options: Any) -> dict[str, RawColumn]:
    return columns_of_split(run, "test", by, read_predictions(run.predictions("test")), **options)


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_columns_that_no_feature_reads_are_read_in_the_order_of_the_predictions(changes: Any, tmp_path: Path) -> None:
    rows = click_rows()
    write_parts(tmp_path / "data", rows)
    run = untrained_run(tmp_path / "run", tmp_path / "data", run_config(**changes))
    found = read(run, "country", "row", "tags")
    assert list(found) == ["country", "row", "tags"]
    expected = rows[found["row"].values]
    assert found["country"].values.cast(pl.String).to_list() == expected["country"].to_list()
    assert found["tags"].values.to_list() == expected["tags"].list.len().to_list()
    predictions = next(iter(read_predictions(run.predictions("test")).values()))
    assert predictions.label.tolist() == expected["clicked"].to_list()
    assert len(found["row"].values) < 600
    assert slices(predictions, found)["rows"].sum() > 0


def test_globs_stand_for_all_columns_but_labels_and_weights(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", click_rows())
    run = untrained_run(tmp_path / "run", tmp_path / "data")
    assert list(read(run, "*")) == ["row", "user", "price", "tags", "country", "weight", "bought"]
    assert list(read(run, "country", "c*", "clicked")) == ["country", "clicked"]


def test_vocabularies_of_the_run_tell_how_often_ids_were_trained_on(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", click_rows())
    run = untrained_run(tmp_path / "run", tmp_path / "data")
    found = read(run, "user", "price")
    assert found["user"].known is not None
    assert found["user"].known.vocabulary is not None
    table = slices(read_predictions(run.predictions("test"))[""], found)
    assert "rare: 1 to 9 times in training" in table.filter(pl.col("column") == "user")["slice"].to_list()


def test_a_column_that_does_not_exist_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", click_rows())
    run = untrained_run(tmp_path / "run", tmp_path / "data")
    with pytest.raises(DataError, match=r"part-0.parquet: no column 'contry'; did you mean 'country'\?"):
        read(run, "contry")
    with pytest.raises(DataError, match=r"no column 'zz\*'; it has row, user"):
        read(run, "zz*")


def swapped(rows: pl.DataFrame) -> pl.DataFrame:
    """Move the first row to the end."""
    return pl.concat([rows[1:], rows[:1]])


CHANGES: dict[str, Any] = {
    "sorted otherwise": swapped,
    "fewer rows": lambda rows: rows[:590],
    "more rows": lambda rows: pl.concat([rows, rows[:10]]),
    "another label": lambda rows: rows.with_columns(clicked=1 - pl.col("clicked")),
    "other users": lambda rows: rows.with_columns(user=pl.col("user") + "x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("where", ["test file", "cut at random"])
def test_files_whose_rows_are_not_those_that_were_scored_are_refused(change: Any, where: str, tmp_path: Path) -> None:
    rows, data = click_rows(), tmp_path / "data"
    write_parts(data, rows)
    changes = CONFIGS["files"] if where == "test file" else {}
    run = untrained_run(tmp_path / "run", data, run_config(**changes))
    write_parts(data, change(rows))
    with pytest.raises(DataError, match=r"the raw files have changed since they were scored"):
        read(run, "country")


def test_files_may_gain_columns_after_training(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", click_rows())
    run = untrained_run(tmp_path / "run", tmp_path / "data")
    write_parts(tmp_path / "data", click_rows().with_columns(city=pl.col("country") + "-1"))
    assert set(read(run, "city")["city"].values.cast(pl.String)) == {"de-1", "fr-1", "us-1"}


def test_files_that_are_gone_are_named_with_the_remedy_and_found_where_they_were_moved_to(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", click_rows())
    run = untrained_run(tmp_path / "run", tmp_path / "data")
    before = read(run, "country")["country"].values
    (tmp_path / "data").rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"data.train: no file matches .* by --data-dir, or files to evaluate"):
        read(run, "country")
    assert read(run, "country", data_dir=tmp_path / "moved")["country"].values.equals(before)


def test_columns_of_other_files_lie_beside_their_scores(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", click_rows())
    run = untrained_run(tmp_path / "run", tmp_path / "data")
    other = click_rows(50, seed=3)
    other.write_parquet(tmp_path / "other.parquet")
    groups = to_keys(other["user"], "text").to_numpy()
    label = other["clicked"].to_numpy()
    scored = {"": Predictions(label, label * 0.5, None, groups, "other")}
    found = columns_of_files(run, [str(tmp_path / "other.parquet")], ["country"], scored)
    assert found["country"].values.cast(pl.String).to_list() == other["country"].to_list()


def test_columns_of_a_file_of_scores_are_read_from_it(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    click_rows(50).with_columns(p=0.5).write_parquet(path)
    assert list(columns_beside_scores(path, ["c*", "price"], but=["clicked", "p"])) == ["country", "price"]
    with pytest.raises(DataError, match=r"scores.parquet: no column 'prise'; did you mean 'price'"):
        columns_beside_scores(path, ["prise"])
