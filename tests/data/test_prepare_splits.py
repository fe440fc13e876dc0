"""Which rows are for training, validation and test."""

from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.config import DataSection, TimeSplit
from recsys.data.prepare import prepare
from recsys.errors import DataError
from tests.data.prepared_clicks import all_rows, clicks, config, rows, table


def test_rows_are_split_at_random_by_default_each_into_one_split(data: Path, cache: Path) -> None:
    clicks(20_000).write_parquet(data / "train.parquet")
    split_rows = all_rows(prepare(config(), data, cache))
    assert sorted(chain.from_iterable(split_rows.values())) == list(range(20_000))
    assert [len(split_rows[name]) for name in ("train", "valid", "test")] == pytest.approx(
        [16_000, 2000, 2000], abs=200
    )
    assert all(part == sorted(part) for part in split_rows.values())
    assert abs(np.mean(split_rows["test"]) - 10_000) < 500


def test_another_seed_splits_otherwise(data: Path, cache: Path) -> None:
    first = prepare(config(), data, cache)
    changed = config().model_copy(update={"train": config().train.model_copy(update={"seed": 2})})
    assert rows(prepare(changed, data, cache), "test") != rows(first, "test")


def test_only_training_rows_are_fitted(data: Path, cache: Path) -> None:
    clicks().with_columns(user=pl.col("row")).write_parquet(data / "train.parquet")
    prepared = prepare(config(), data, cache)
    assert prepared.state.num_rows == prepared.splits["train"].num_rows
    assert prepared.state.vocabularies["user"].keys.tolist() == rows(prepared, "train")
    assert set(table(prepared.splits["valid"])["user"].to_pylist()) == {0}
    train = table(prepared.splits["train"])["price"].to_numpy()
    assert (train.mean(), train.std()) == pytest.approx((0, 1), abs=1e-6)


def test_validation_files_leave_all_training_rows_and_no_test_split(data: Path, cache: Path) -> None:
    clicks(50).write_parquet(data / "valid.parquet")
    prepared = prepare(config(data=DataSection(train="train.parquet", valid="valid.parquet")), data, cache)
    assert {name: len(part) for name, part in all_rows(prepared).items()} == {"train": 1000, "valid": 50}


def test_test_files_alone_leave_a_tenth_of_the_training_rows_for_validation(data: Path, cache: Path) -> None:
    clicks(50).write_parquet(data / "test.parquet")
    prepared = prepare(config(data=DataSection(train="train.parquet", test="test.parquet")), data, cache)
    split_rows = all_rows(prepared)
    assert len(split_rows["test"]) == 50
    assert len(split_rows["valid"]) == pytest.approx(100, abs=40)
    assert sorted(split_rows["train"] + split_rows["valid"]) == list(range(1000))


DAY = datetime(2024, 1, 1)


@pytest.mark.parametrize(
    "times",
    [
        pl.Series("ts", range(100)),
        pl.Series("ts", [x / 8 - 5 for x in range(100)]),
        pl.Series("ts", [str(10 + x) for x in range(100)]),
        pl.Series("ts", [DAY + timedelta(hours=x) for x in range(100)]),
        pl.Series("ts", [(DAY + timedelta(days=x)).date() for x in range(100)]),
        pl.Series("ts", [str(DAY + timedelta(hours=x)) for x in range(100)]),
    ],
)
def test_a_time_split_keeps_the_latest_rows_for_test(data: Path, cache: Path, times: pl.Series) -> None:
    order = np.random.default_rng(0).permutation(100)
    frame = clicks(100).with_columns(times)[order]
    frame.write_parquet(data / "train.parquet")
    split = TimeSplit(by="time", column="ts", valid=0.2, test=0.1)
    split_rows = all_rows(prepare(config(data=DataSection(train="train.parquet", split=split)), data, cache))
    assert {name: sorted(part) for name, part in split_rows.items()} == {
        "train": list(range(70)),
        "valid": list(range(70, 90)),
        "test": list(range(90, 100)),
    }


def test_equal_times_go_to_the_earlier_split(data: Path, cache: Path) -> None:
    frame = clicks(10).with_columns(ts=pl.Series([1, 1, 1, 1, 2, 2, 2, 3, 3, 4]))
    frame.write_parquet(data / "train.parquet")
    split = TimeSplit(by="time", column="ts", valid=0.2, test=0.2)
    split_rows = all_rows(prepare(config(data=DataSection(train="train.parquet", split=split)), data, cache))
    assert split_rows == {"train": [0, 1, 2, 3, 4, 5, 6], "valid": [7, 8], "test": [9]}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1, None, 3, 4], r"train.parquet: column ts: expected a time to split by, got null \(row 2\)"),
        ([5, 5, 5, 5], r"data.split: no rows are left for valid: too many rows of column ts have the same time"),
        (["a", "b", "c", "d"], r"train.parquet: column ts: expected a Unix time .*, got 'a' \(row 1\)"),
    ],
)
def test_times_that_cannot_be_split_are_reported(data: Path, cache: Path, times: list[Any], message: str) -> None:
    clicks(4).with_columns(ts=pl.Series(times)).write_parquet(data / "train.parquet")
    section = DataSection(train="train.parquet", split=TimeSplit(by="time", column="ts", valid=0.25, test=0.25))
    with pytest.raises(DataError, match=message):
        prepare(config(data=section), data, cache)


def test_times_are_in_one_order_in_files_of_integers_and_of_floats(data: Path, cache: Path) -> None:
    times = pl.Series("ts", range(500, 1000))
    clicks(1000)[500:].with_columns(times).write_parquet(data / "late.parquet")
    clicks(1000)[:500].with_columns(times.cast(pl.Float64) - 500).write_parquet(data / "early.parquet")
    files = DataSection(train=("late.parquet", "early.parquet"), split=TimeSplit(by="time", column="ts"))
    assert all_rows(prepare(config(data=files), data, cache)) == {
        "train": [*range(500, 800), *range(500)],
        "valid": [*range(800, 900)],
        "test": [*range(900, 1000)],
    }
