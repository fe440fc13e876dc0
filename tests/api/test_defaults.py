from pathlib import Path

import pytest

from recsys.api.defaults import config_name, new_run_folder
from recsys.errors import DataError


def test_runs_without_a_name_are_numbered(tmp_path: Path) -> None:
    folders = []
    for _ in range(3):
        folders.append(new_run_folder(None, tmp_path, default="shop"))
        folders[-1].mkdir()
    assert [folder.name for folder in folders] == ["shop", "shop-2", "shop-3"]


def test_a_name_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="mine: exists already"):
        new_run_folder("mine", tmp_path, default="shop")
    assert new_run_folder("other", tmp_path, default="shop") == tmp_path / "other"


@pytest.mark.parametrize(("path", "name"), [("shop/run.yaml", "shop"), ("shop/config.yaml", "shop"), ("a/b.yaml", "b")])
def test_a_run_is_called_like_its_config_or_its_folder(path: str, name: str) -> None:
    assert config_name(Path(path)) == name
