"""Tests of recsys/config/kept.py: the files that `features.X.kept` names."""

from pathlib import Path

import pytest

from recsys.config import Config, dump, load_config, resolve
from recsys.config.feature_types.kept import KeptFile
from recsys.config.kept import kept_checksum, kept_file, recall_kept
from recsys.config.load import parse_config, parse_text
from tests.config.loading import Load, Problems

ITEM = "label: y\nfeatures: {item: {type: id, kept: kept/item.parquet}}\n"


def kept(config: Config, name: str = "item") -> KeptFile:
    found = kept_file(config.features[name])
    assert found is not None
    return found


@pytest.fixture
def file(folder: Path) -> Path:
    (folder / "kept").mkdir()
    (folder / "kept" / "item.parquet").write_bytes(b"keys")
    return folder / "kept" / "item.parquet"


def test_a_path_is_relative_to_the_file_that_states_it(folder: Path, file: Path) -> None:
    for name, text in {
        "a/b/main.yaml": "include: ../base.yaml\n",
        "a/base.yaml": ITEM.replace("kept/", "../kept/"),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    expected = KeptFile(file=str(file), checksum=kept_checksum(b"keys"))
    assert kept(load_config(Path("a/b/main.yaml"))) == expected
    assert kept(load_config(folder / "a/base.yaml")) == expected


def test_without_a_file_a_path_is_relative_to_the_current_folder(file: Path) -> None:
    assert kept(parse_text(ITEM)).file == str(file)
    features = {"item": {"type": "id", "kept": "kept/item.parquet"}}
    assert kept(parse_config({"label": "y", "features": features})).file == str(file)


def test_a_file_that_is_gone_is_no_problem_before_it_is_needed(load: Load, folder: Path) -> None:
    assert kept(load(ITEM)) == KeptFile(file=str(folder / "kept/item.parquet"), checksum=None)


def test_what_a_run_writes_down_needs_no_file(load: Load, file: Path) -> None:
    config = load(ITEM)
    file.unlink()
    assert load(dump(config)) == config
    assert recall_kept(load(ITEM), config) == config
    assert recall_kept(load(ITEM.replace("item.parquet", "other.parquet")), config) != config


def test_a_glob_recalls_the_file_of_what_it_stood_for(load: Load, file: Path) -> None:
    text = ITEM.replace("item:", '"it*":')
    before = resolve(load(text), ["item", "y"]).config
    file.unlink()
    assert kept(recall_kept(load(text), before), "it*") == kept(before)


def test_a_run_is_the_same_wherever_the_file_lies_as_long_as_its_content_is(load: Load, file: Path) -> None:
    def same() -> Config:
        return resolve(load(ITEM), ["item", "y"]).without_sharding()

    first = same()
    file.rename(file.with_name("moved.parquet"))
    moved = resolve(load(ITEM.replace("item.parquet", "moved.parquet")), ["item", "y"]).without_sharding()
    file.write_bytes(b"other keys")
    assert dump(first) == dump(moved)
    assert dump(first) != dump(same())


@pytest.mark.parametrize(
    ("feature", "line"),
    [
        ("{type: id, vocabulary: open, kept: k}", "kept: has no effect with an open vocabulary; leave it out"),
        ("{type: id, vocabulary: [a], kept: k}", "kept: has no effect with a listed vocabulary; leave it out"),
        ("{type: id, kept: 3}", "kept: expected text or a mapping, got 3"),
        ("{type: id, kept: ''}", "kept: must not be empty"),
        ("{type: number, kept: k}", "kept: unknown key"),
    ],
)
def test_a_file_where_it_has_no_sense_is_refused(problems: Problems, feature: str, line: str) -> None:
    text = f"label: y\nfeatures: {{a: {feature}}}\ntables: {{t: {{features: [a], scheme: hash, rows: 9}}}}\n"
    assert f"shop.yaml:2: features.a.{line}" in problems(text)[1]
