import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from recsys.config import Config, DataSection, FractionSplit, IdFeature, NumberFeature
from recsys.data import prepare as prepare_module
from recsys.data.classes import ClassWeights
from recsys.data.prepare import find_prepared, prepare, prepare_split
from recsys.data.prepared import Prepared, PreparedSplit
from recsys.errors import DataError
from recsys.features import parallel
from recsys.features.fingerprint import xxhash64_keys
from recsys.features.kept import write_kept
from recsys.sources import source
from tests.data.prepared_clicks import clicks, config, contents, rows, table


def test_a_prepared_split_holds_fields_labels_weight_and_group(data: Path, cache: Path) -> None:
    frame = pl.DataFrame(
        {
            "user": [7, 9, 7],
            "clicked": [True, False, True],
            "bought": [0.0, 0.25, 1.0],
            "w": [1, 2, 0],
            "g": [5, None, 5],
        }
    )
    frame.write_parquet(data / "train.parquet")
    frame[:1].write_parquet(data / "valid.parquet")
    shop = Config(
        label={"click": "clicked", "buy": "bought"},
        weight="w",
        group="g",
        features={"user": IdFeature(type="id")},
        data=DataSection(train="train.parquet", valid="valid.parquet"),
    )
    prepared = prepare(shop, data, cache)
    train = prepared.splits["train"]
    assert table(train).schema == pa.schema(
        [
            pa.field("user", pa.int32(), nullable=False),
            pa.field("__label.click", pa.float32(), nullable=False),
            pa.field("__label.buy", pa.float32(), nullable=False),
            pa.field("__weight", pa.float32(), nullable=False),
            pa.field("__group", pa.int64(), nullable=False),
        ]
    )
    assert table(train).to_pydict() == {
        "user": [1, 2, 1],
        "__label.click": [1.0, 0.0, 1.0],
        "__label.buy": [0.0, 0.25, 1.0],
        "__weight": [1.0, 2.0, 0.0],
        "__group": [5, -(2**63), 5],
    }
    assert (train.num_rows, train.positives) == (3, {"click": 2.0, "buy": 1.25})
    assert train.weights == {"click": ClassWeights(1.0, 2.0), "buy": ClassWeights(0.5, 2.5)}
    assert train.mean_weight == 1.0
    assert prepared.splits["valid"].weights == {"click": ClassWeights(1.0, 0.0), "buy": ClassWeights(0.0, 1.0)}
    assert list(prepared.splits) == ["train", "valid"]


def test_record_batches_have_16384_rows_and_only_the_last_one_fewer(data: Path, cache: Path) -> None:
    clicks(50_000).write_parquet(data / "train.parquet", row_group_size=7000)
    prepared = prepare(config(), data, cache)
    for split in prepared.splits.values():
        (file,) = split.files
        reader = pa.ipc.open_file(str(file))
        sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
        assert sizes[:-1] == [16_384] * (len(sizes) - 1)
        assert sum(sizes) == split.num_rows
    assert prepared.splits["train"].num_rows > 2 * 16_384


def test_a_long_split_is_written_to_several_files(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.data.prepared._PART_BATCHES", 2)
    clicks(50_000).write_parquet(data / "train.parquet")
    prepared = prepare(config(data=DataSection(train="train.parquet", valid="train.parquet")), data, cache)
    train = prepared.splits["train"]
    assert [file.name for file in train.files] == ["part-00000.arrow", "part-00001.arrow"]
    assert [pa.ipc.open_file(str(file)).read_all().num_rows for file in train.files] == [32_768, 17_232]
    assert rows(prepared, "train") == list(range(50_000))


def test_csv_and_parquet_of_one_table_give_the_same_prepared_rows(data: Path, cache: Path) -> None:
    frame = clicks()
    frame.write_csv(data / "train.csv")
    frame.write_csv(data / "train.tsv", separator="\t", include_header=False)
    from_parquet = prepare(config(), data, cache)
    from_csv = prepare(config(data=DataSection(train="train.csv")), data, cache)
    bare = DataSection(train="train.tsv", header=False, columns=tuple(frame.columns))
    from_tsv = prepare(config(data=bare), data, cache)
    for name, split in from_parquet.splits.items():
        assert table(from_csv.splits[name]).equals(table(split))
        assert table(from_tsv.splits[name]).equals(table(split))


def test_frames_threads_and_files_make_no_difference(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prepare(config(), data, cache)
    clicks()[:333].write_parquet(data / "part-1.parquet")
    clicks()[333:].write_parquet(data / "part-2.parquet")
    monkeypatch.setattr(source.Source.chunks, "__defaults__", (77,))
    monkeypatch.setattr(parallel, "_MOST_WORKERS", 1)
    parts = prepare(config(data=DataSection(train="part-*.parquet")), data, cache)
    for name, split in whole.splits.items():
        first, second = table(split), table(parts.splits[name])
        assert first.drop_columns("price").equals(second.drop_columns("price"))
        np.testing.assert_allclose(first["price"].to_numpy(), second["price"].to_numpy(), rtol=1e-6)
    np.testing.assert_array_equal(whole.state.vocabularies["user"].ids, parts.state.vocabularies["user"].ids)


@pytest.mark.parametrize("version", ["_VERSION", "HASH_VERSION"])
def test_another_version_of_preparing_or_hashing_finds_nothing_prepared(
    version: str, data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prepare(config(), data, cache)
    assert find_prepared(config(), data, cache) is not None
    monkeypatch.setattr(prepare_module, version, 99)
    assert find_prepared(config(), data, cache) is None
    assert prepare(config(), data, cache).folder != before.folder


def test_preparing_again_gives_the_same_bytes(data: Path, cache: Path) -> None:
    first, second = prepare(config(), data, cache), prepare(config(), data, data / "other")
    assert contents(first.folder) == contents(second.folder)


# Further files


def test_a_further_file_is_prepared_as_the_validation_split_was(data: Path, cache: Path) -> None:
    clicks(500, seed=1).write_parquet(data / "valid.parquet")
    prepared = prepare(config(data=DataSection(train="train.parquet", valid="valid.parquet")), data, cache)
    split = prepare_split(
        prepared.resolved, prepared.state, [data / "valid.parquet"], DataSection(), data / "out", lambda *_: None
    )
    assert table(split).equals(table(prepared.splits["valid"]))
    assert split.positives == prepared.splits["valid"].positives


def test_a_further_file_may_have_no_rows(data: Path, cache: Path) -> None:
    prepared = prepare(config(), data, cache)
    clicks()[:0].write_parquet(data / "none.parquet")
    split = prepare_split(prepared.resolved, prepared.state, [data / "none.parquet"], DataSection(), data / "out")
    assert split == PreparedSplit((), 0, {"label": 0.0})


def test_progress_counts_the_rows_of_each_stage(data: Path, cache: Path) -> None:
    calls: list[tuple[str, int, int | None]] = []
    prepare(config(), data, cache, lambda *call: calls.append(call))
    assert calls == [("fit", 1000, 1000), ("train", 1000, 1000)]


# Errors


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("clicked", 2, r"train.parquet: column clicked: expected a label of 0 or 1, got 2 \(row 4\)"),
        ("clicked", -0.5, r"column clicked: expected a label of 0 or 1, got -0.5 \(row 4\)"),
        ("clicked", None, r"column clicked: expected a label of 0 or 1, got null \(row 4\)"),
        ("clicked", "yes", r"column clicked: expected a number, got 'yes' \(row 4\)"),
        ("price", "abc", r"column price: expected a number, got 'abc' \(row 4\)"),
        ("weight", -1.0, r"column weight: expected a finite weight of at least 0, got -1.0 \(row 4\)"),
        ("weight", None, r"column weight: expected a finite weight of at least 0, got null \(row 4\)"),
        ("weight", float("inf"), r"column weight: expected a finite weight of at least 0, got inf \(row 4\)"),
    ],
)
def test_a_wrong_value_is_shown_with_its_row(data: Path, cache: Path, column: str, value: Any, message: str) -> None:
    usual = "0" if isinstance(value, str) else 1.0 if isinstance(value, float) else 1
    frame = clicks(5).with_columns(weight=pl.lit(1.0))
    frame = frame.with_columns(pl.Series(column, [usual, usual, usual, value, usual]))
    frame.write_parquet(data / "train.parquet")
    with pytest.raises(DataError, match=message):
        prepare(config(weight="weight"), data, cache)
    assert list(cache.iterdir()) == []


def test_a_missing_column_is_reported_with_what_needs_it(data: Path, cache: Path) -> None:
    with pytest.raises(
        DataError, match=r"features.prize: no column 'prize' in the data; did you mean 'price'\?.*train"
    ):
        prepare(config(features={"prize": NumberFeature(type="number")}), data, cache)


def test_a_validation_file_must_have_the_columns_too(data: Path, cache: Path) -> None:
    clicks(9).drop("price").write_parquet(data / "valid.parquet")
    with pytest.raises(DataError, match=r"valid.parquet: no column 'price'"):
        prepare(config(data=DataSection(train="train.parquet", valid="valid.parquet")), data, cache)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "data.train: no training files are given"),
        ({"train": "no-*.csv"}, r"data.train: no file matches 'no-\*.csv' in "),
        ({"train": "train.parquet", "valid": "v.csv"}, r"data.valid: there is no file .*v.csv"),
    ],
)
def test_files_that_are_not_there_are_reported(data: Path, cache: Path, section: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare(config(data=DataSection(**section)), data, cache)


def test_training_files_without_rows_are_an_error_and_validation_files_are_not(data: Path, cache: Path) -> None:
    clicks()[:0].write_parquet(data / "none.parquet")
    with pytest.raises(DataError, match=r"data.train: no training rows in .*none.parquet"):
        prepare(config(data=DataSection(train="none.parquet")), data, cache)
    prepared = prepare(config(data=DataSection(train="train.parquet", valid="none.parquet")), data, cache)
    assert prepared.splits["valid"] == PreparedSplit((), 0, {"label": 0.0})


# The cache


def test_the_same_content_is_prepared_once(data: Path, cache: Path) -> None:
    first = prepare(config(), data, cache)
    calls: list[str] = []
    again = prepare(config(), data, cache, lambda stage, *_: calls.append(stage))
    assert (again.folder, again.splits, calls) == (first.folder, first.splits, [])
    assert again.state.vocabularies["user"].counts.tolist() == first.state.vocabularies["user"].counts.tolist()


def changed(**changes: Any) -> Config:
    return config().model_copy(update=changes)


TRAIN = config().train
FILES = DataSection(train="train.parquet", valid="train.parquet")
OWN_SEED = DataSection(train="train.parquet", split=FractionSplit(seed=TRAIN.seed))
OTHER_SEED = DataSection(train="train.parquet", split=FractionSplit(seed=TRAIN.seed + 1))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (config(), changed(train=TRAIN.model_copy(update={"epochs": 3})), True),
        (config(), changed(train=TRAIN.model_copy(update={"seed": 3})), False),
        (config(data=FILES), changed(data=FILES, train=TRAIN.model_copy(update={"seed": 3})), True),
        (config(), changed(features=dict(list(config().features.items())[:2])), False),
        (config(), changed(features=config().features | {"none": NumberFeature(type="number", use=False)}), True),
        (config(), changed(group="user"), False),
        (config(), changed(weight="row"), False),
        (config(), changed(label={"click": "clicked"}), False),
        (config(), changed(data=DataSection(train="train.parquet", split=FractionSplit(test=0.2))), False),
        (config(), changed(data=OWN_SEED, train=TRAIN.model_copy(update={"seed": 3})), True),
        (config(), changed(data=OTHER_SEED), False),
    ],
)
def test_only_what_the_rows_depend_on_asks_for_a_new_preparation(
    data: Path, cache: Path, first: Config, second: Config, same: bool
) -> None:
    assert (prepare(first, data, cache).folder == prepare(second, data, cache).folder) is same


def test_the_content_of_kept_values_asks_for_a_new_preparation_and_their_place_does_not(
    data: Path, cache: Path
) -> None:
    def prepared(name: str, *users: str) -> Prepared:
        write_kept(data / name, xxhash64_keys(pl.Series(users)).to_numpy(), "text")
        features = config().features | {"user": IdFeature(type="id", kept=str(data / name))}
        return prepare(changed(features=features), data, cache)

    first = prepared("a", "u1", "u2")
    assert first.state.vocabularies["user"].size == 3
    assert prepared("b", "u1", "u2").folder == first.folder
    assert prepared("a", "u1").folder != first.folder
    assert prepare(config(), data, cache).folder != first.folder


def test_a_damaged_folder_is_prepared_again(data: Path, cache: Path) -> None:
    first = prepare(config(), data, cache)
    file = first.splits["train"].files[0]
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    assert prepare(config(), data, cache).folder == first.folder
    assert file.read_bytes() == whole


def test_an_interrupted_preparation_leaves_nothing(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "write_manifest", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(config(), data, cache)
    assert list(cache.iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
from recsys.data.prepare import prepare
from tests.data.prepared_clicks import config
def wait(stage, done, total):
    if stage == "train":
        print("writing", flush=True)
        time.sleep(60)
prepare(config(), Path(sys.argv[1]), Path(sys.argv[2]), wait)
"""


@pytest.mark.slow
def test_a_killed_preparation_is_not_used_and_swept_away_later(data: Path, cache: Path) -> None:
    root = Path(__file__).parents[2]
    arguments = [sys.executable, "-c", KILLED, str(data), str(cache)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        (draft,) = cache.iterdir()
        old = time.time() - 3600
        os.utime(draft / "lock", (old, old))
        clicks(50).write_parquet(data / "other.parquet")
        prepare(config(data=DataSection(train="other.parquet")), data, cache)
        assert draft.exists()  # its process lives
        process.send_signal(signal.SIGKILL)
    prepared = prepare(config(), data, cache)
    assert not draft.exists()
    assert sum(split.num_rows for split in prepared.splits.values()) == 1000


def test_two_preparations_at_once_give_one_whole_folder(data: Path, cache: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: prepare(config(), data, cache), range(3)))
    assert len({result.folder for result in results}) == 1
    assert [path.name for path in cache.iterdir()] == [results[0].folder.name]
    expected = contents(prepare(config(), data, data / "alone").folder)
    assert contents(results[0].folder) == expected
    shutil.rmtree(cache)
