import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys.api.config import load_config
from recsys.config import Config
from recsys.data import raw_files
from recsys.data.prepare import find_prepared, prepare

ROWS = pl.DataFrame({"user": [f"u{i % 7}" for i in range(100)], "click": [i % 2 for i in range(100)]})


@pytest.fixture
def config() -> Config:
    return load_config({"label": "click", "features": {"user": {"type": "id"}}, "data": {"train": "train.csv"}})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    ROWS.write_csv(tmp_path / "data" / "train.csv")
    return tmp_path / "data"


def through_parent(data: Path) -> Path:
    return data / ".." / data.name


def through_link(data: Path) -> Path:
    (data.parent / "link").symlink_to(data)
    return data.parent / "link"


def touched(data: Path) -> Path:
    os.utime(data / "train.csv", (1, 1))
    return data


def written_anew(data: Path) -> Path:
    content = (data / "train.csv").read_bytes()
    (data / "train.csv").unlink()
    (data / "train.csv").write_bytes(content)
    return data


def moved(data: Path) -> Path:
    return Path(shutil.move(data, data.parent / "elsewhere"))


SAME = [through_parent, through_link, touched, written_anew, moved]


@pytest.mark.parametrize("change", SAME)
def test_the_same_content_is_the_same_data_wherever_it_lies(
    change: Callable[[Path], Path], config: Config, data: Path, tmp_path: Path
) -> None:
    first = prepare(config, data, tmp_path / "cache")
    now = change(data)
    assert find_prepared(config, now, tmp_path / "cache") is not None
    again = prepare(config, now, tmp_path / "cache")
    assert again.folder == first.folder
    assert again.is_from(first.origin())


@pytest.mark.parametrize("change", SAME)
def test_the_same_content_is_the_same_data_when_the_cache_was_deleted(
    change: Callable[[Path], Path], config: Config, data: Path, tmp_path: Path
) -> None:
    first = prepare(config, data, tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    assert prepare(config, change(data), tmp_path / "cache").is_from(first.origin())


@pytest.mark.parametrize("keeps_time", [True, False])
def test_another_content_of_the_same_size_is_other_data(
    keeps_time: bool, config: Config, data: Path, tmp_path: Path
) -> None:
    first = prepare(config, data, tmp_path / "cache")
    path = data / "train.csv"
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"u6,0", b"u5,0", 1))
    assert path.stat().st_size == status.st_size
    if keeps_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    again = prepare(config, data, tmp_path / "cache")
    assert again.folder != first.folder
    assert not again.is_from(first.origin())


def test_other_settings_are_other_data(config: Config, data: Path, tmp_path: Path) -> None:
    first = prepare(config, data, tmp_path / "cache")
    rarer = load_config(
        {"label": "click", "features": {"user": {"type": "id", "min_count": 15}}, "data": {"train": "train.csv"}}
    )
    assert not prepare(rarer, touched(data), tmp_path / "cache").is_from(first.origin())


def test_the_content_is_compared_once_after_a_file_was_touched(
    config: Config, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(config, data, tmp_path / "cache")
    read: list[Path] = []
    checksum = raw_files.sha256_of
    monkeypatch.setattr(raw_files, "sha256_of", lambda path: read.append(path) or checksum(path))
    for _ in range(3):
        prepare(config, touched(data), tmp_path / "cache")
    prepare(config, through_parent(data), tmp_path / "cache")
    assert read == [data / "train.csv"]


def test_a_folder_of_an_earlier_version_is_found_by_its_name(config: Config, data: Path, tmp_path: Path) -> None:
    first = prepare(config, data, tmp_path / "cache")
    (first.folder / "raw_files.json").unlink()
    again = prepare(config, data, tmp_path / "cache")
    assert again.folder == first.folder
    assert again.is_from({"prepared": first.folder.name})
    assert not again.is_from({"prepared": "another", "content": None})


def test_a_file_that_changes_while_it_is_read_is_not_taken_for_what_it_has_become(
    config: Config, data: Path, tmp_path: Path
) -> None:
    def append(stage: str, done: int, total: int | None) -> None:
        if stage == "train":
            with (data / "train.csv").open("a") as file:
                file.write("u1,1\n")

    assert prepare(config, data, tmp_path / "cache", append).content is None
    assert find_prepared(config, data, tmp_path / "cache") is None
