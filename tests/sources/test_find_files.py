import time
from pathlib import Path

import pytest

from recsys.errors import DataError
from recsys.sources.find_files import find_files


@pytest.mark.parametrize("pattern", ["**x", "a**/*.csv", "a\0b*", "a" * 5000, "*" + "a" * 5000, "", "\0"])
def test_what_can_be_no_path_or_glob_is_refused_with_its_key(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^data\.train: ") as error:
        find_files(pattern, tmp_path, "data.train")
    assert str(error.value).isprintable()


def test_many_steps_through_any_folders_are_one(tmp_path: Path) -> None:
    folder = tmp_path
    for name in "abcdefghijkl":
        folder /= name
        for other in "123":
            (folder / other).mkdir(parents=True)
    (folder / "x.csv").touch()
    began = time.process_time()
    assert find_files("**/" * 40 + "x.csv", tmp_path, "data.train") == (folder / "x.csv",)
    assert find_files("a/**/**/l/*.csv", tmp_path, "data.train") == (folder / "x.csv",)
    assert time.process_time() - began < 1
