from pathlib import Path

import pytest

from recsys.api.defaults import config_name, new_run_folder
from recsys.errors import ConfigError, DataError


def test_runs_without_a_name_are_numbered(tmp_path: Path) -> None:
    folders = []
    for _ in range(3):
        folders.append(new_run_folder(None, tmp_path, default="shop"))
        folders[-1].mkdir()
    assert [folder.name for folder in folders] == ["shop", "shop-2", "shop-3"]


def test_a_name_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert new_run_folder("mine", tmp_path, default="shop") == tmp_path / "mine"  # empty: killed before it had begun
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(DataError, match="mine: exists already"):
        new_run_folder("mine", tmp_path, default="shop")
    assert new_run_folder("other", tmp_path, default="shop") == tmp_path / "other"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "without empty parts"),
        ("/", "without empty parts"),
        ("/absolute", "without empty parts"),
        ("a//b", "without empty parts"),
        ("a/", "without empty parts"),
        ("..", "no part of it begins with a dot"),
        ("../x", "no part of it begins with a dot"),
        ("a/../../x", "no part of it begins with a dot"),
        (".", "no part of it begins with a dot"),
        (".hidden", "no part of it begins with a dot"),
        ("a\nb", "no control characters"),
        ("a\0b", "no control characters"),
        ("a" * 256, "not be longer than 255 bytes"),
        ("\u00fc" * 128, "not be longer than 255 bytes"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, rule: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"name of the run: .*{rule}"):
        new_run_folder(name, tmp_path, default="shop")


@pytest.mark.parametrize("name", ["a", "a/b", "a..b", "\u00fc", "a b", "-a", "a" * 255])
def test_any_other_name_is_one(name: str, tmp_path: Path) -> None:
    assert new_run_folder(name, tmp_path, default="shop") == tmp_path / name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("shop/run.yaml", "shop"),
        ("shop/config.yaml", "shop"),
        ("a/b.yaml", "b"),
        (".b.yaml", "b"),
        ("/run.yaml", "run"),
    ],
)
def test_a_run_is_called_like_its_config_or_its_folder(path: str, name: str) -> None:
    assert config_name(Path(path)) == name
