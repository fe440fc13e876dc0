"""Negatives that training goes without: which, how many, and what stays as it is."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.config import Config, DataSection, FractionSplit, TimeSplit, load_config
from recsys.data.classes import ClassWeights
from recsys.data.downsample import mean_weight_of_all
from recsys.data.prepare import prepare
from recsys.data.prepared import PreparedSplit
from recsys.data.raw_rows import find_raw_rows
from recsys.data.splits import LEFT_OUT, Downsampled, NoCut, RandomCut
from recsys.errors import ConfigError, DataError
from recsys.sources.location import RowLocation
from recsys.sources.source import RowChunk
from tests.data.prepared_clicks import all_rows, clicks, config, rows

RATE = 0.1


def chunk_of(labels: list[int], start: int = 0) -> RowChunk:
    return RowChunk(pl.DataFrame({"clicked": labels}), RowLocation("log.parquet", start), start)


def sampled(rate: float | None = RATE, **changes: Any) -> Config:
    return config(data=DataSection(**({"train": "train.parquet", "negative_rate": rate} | changes)))


def test_a_share_of_the_negatives_is_left_and_every_positive() -> None:
    labels = (np.random.default_rng(0).random(100_000) < 0.2).astype(int)
    numbers = Downsampled(NoCut(), RATE, "clicked").number(chunk_of(labels.tolist()))
    assert set(numbers) == {0, LEFT_OUT}
    assert (numbers[labels == 1] == 0).all()
    assert (numbers[labels == 0] == 0).mean() == pytest.approx(RATE, abs=0.005)


def test_which_rows_are_left_depends_on_their_place_alone() -> None:
    cut, labels = Downsampled(NoCut(), RATE, "clicked"), [0] * 10_000
    whole = cut.number(chunk_of(labels)).tolist()
    parts = [cut.number(chunk_of(labels[start:stop], start)) for start, stop in [(0, 17), (17, 4000), (4000, 10_000)]]
    assert np.concatenate(parts).tolist() == whole
    smaller = Downsampled(NoCut(), RATE / 2, "clicked").number(chunk_of(labels))
    assert set(np.flatnonzero(smaller == 0)) < set(np.flatnonzero(np.array(whole) == 0))


def test_validation_and_test_rows_stay_and_have_nothing_to_do_with_what_is_left() -> None:
    random, labels = RandomCut(seed=1, valid=0.2, test=0.2), [0] * 100_000
    before, after = random.number(chunk_of(labels)), Downsampled(random, RATE, "clicked").number(chunk_of(labels))
    assert (after[before > 0] == before[before > 0]).all()
    assert (after[before == 0] == 0).mean() == pytest.approx(RATE, abs=0.01)


@pytest.mark.parametrize("split", [None, FractionSplit(by="fraction"), TimeSplit(by="time", column="row")])
def test_prepared_training_rows_lack_negatives_and_say_how_many(
    split: FractionSplit | TimeSplit | None, data: Path, cache: Path
) -> None:
    clicks(5000).write_parquet(data / "train.parquet")
    whole, less = (prepare(sampled(rate, split=split), data, cache) for rate in (None, RATE))
    for name in ("valid", "test"):
        assert rows(less, name) == rows(whole, name)
        assert less.splits[name].left_out == 0
    train, left = whole.splits["train"], less.splits["train"]
    assert left.positives == train.positives
    assert left.num_rows + left.left_out == train.num_rows
    negatives = train.num_rows - sum(train.positives.values())
    assert left.left_out / negatives == pytest.approx(1 - RATE, abs=0.03)
    assert less.state.num_rows == left.num_rows
    assert set(rows(less, "train")) < set(rows(whole, "train"))
    assert left.coverage["user"].rows == left.num_rows
    assert prepare(sampled(RATE, split=split), data, cache).splits["train"].left_out == left.left_out  # from its cache


def test_raw_rows_are_those_of_the_prepared_split(data: Path, cache: Path) -> None:
    clicks(50).write_parquet(data / "valid.parquet")
    for changes in ({}, {"valid": "valid.parquet"}):
        prepared = prepare(sampled(**changes), data, cache)
        for split in ("train", "valid"):
            raw = find_raw_rows(prepared.resolved, data, split)  # type: ignore[arg-type]
            found = [row for chunk in raw.chunks(["row"]) for row in chunk.frame["row"]]
            assert found == rows(prepared, split)  # type: ignore[arg-type]


def test_without_a_rate_the_prepared_data_has_the_name_that_it_always_had(data: Path, cache: Path) -> None:
    assert prepare(config(), data, cache).folder == prepare(sampled(None), data, cache).folder
    assert prepare(sampled(), data, cache).folder != prepare(sampled(0.2), data, cache).folder


@pytest.mark.parametrize("label", [0.5, 0.0001])
def test_a_label_between_0_and_1_is_refused_with_its_row(label: float, data: Path, cache: Path) -> None:
    frame = clicks(100).with_columns(pl.col("clicked").cast(pl.Float64))
    frame[7, "clicked"] = label
    frame.write_parquet(data / "train.parquet")
    expected = "expected a label of 0 or 1, since data.negative_rate leaves out rows of label 0"
    message = rf"train\.parquet: column clicked: {expected}, got {label} \(row 8\)"
    with pytest.raises(DataError, match=message):
        prepare(sampled(), data, cache)


def test_a_negative_counts_for_those_that_are_not_there() -> None:
    split = PreparedSplit((), num_rows=60, positives={"label": 10.0})
    assert mean_weight_of_all(split, 0.1) == pytest.approx((10 + 500) / 60)
    weighted = PreparedSplit((), 60, {"label": 10.0}, {"label": ClassWeights(5.0, 20.0)})
    assert mean_weight_of_all(weighted, 0.1) == pytest.approx((5 + 200) / 60)


def test_left_out_rows_are_no_secret(data: Path, cache: Path) -> None:
    prepared = prepare(sampled(), data, cache)
    assert sum(len(part) for part in all_rows(prepared).values()) + prepared.splits["train"].left_out == 1000


def test_one_task_alone_can_go_without_negatives(tmp_path: Path) -> None:
    text = "label: {click: a, buy: b}\nfeatures: {user: {type: id}}\ndata: {train: x.parquet, negative_rate: 0.1}\n"
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config.yaml:3: data.negative_rate: is for one task, got click, buy: "):
        load_config(tmp_path / "config.yaml")
