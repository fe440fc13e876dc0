from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.config import Config, DataSection
from recsys.data.prepare import prepare
from recsys.errors import DataError
from recsys.sources.find_files import find_files
from recsys.sources.folder_keys import folder_keys
from recsys.sources.source import open_source
from tests.sources.files import read


def test_only_the_folders_right_above_a_file_are_keys() -> None:
    assert folder_keys(Path("/lr=1/data/a=x/b=y=z/f.csv")) == {"a": "x", "b": "y=z"}
    assert folder_keys(Path("a=1/data/f=2.csv")) == {}
    assert folder_keys(Path("a=%FF/=x/b=NA/c=/f.csv"), ["NA"]) == {"b": None, "c": None}


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv"])
def test_keys_are_columns_of_each_file(tmp_path: Path, form: str) -> None:
    for day, hour in [("2024-01-01", "7"), ("__HIVE_DEFAULT_PARTITION__", "8%3A30")]:
        folder = tmp_path / f"date={day}" / f"hour={hour}"
        folder.mkdir(parents=True)
        writer = getattr(pl.DataFrame, {"arrow": "write_ipc"}.get(form, f"write_{form}"))
        writer(pl.DataFrame({"x": [int(hour[0])] * 3}), folder / f"part-0.{form}")
    paths = find_files(f"*/*/*.{form}", tmp_path, "data.train")
    frame = read(*paths, columns=["hour", "x", "date"], rows=2)
    assert frame.cast(pl.String).rows() == [("7", "7", "2024-01-01")] * 3 + [("8:30", "8", None)] * 3
    assert read(*paths, columns=["date"])["date"].to_list() == ["2024-01-01"] * 3 + [None] * 3


AGREEING: dict[str, list[Any]] = {
    "k=7": [7, 7.0, "7"],
    "k=07": [7, "07"],
    "k=2024-01-01": ["2024-01-01", date(2024, 1, 1), datetime(2024, 1, 1, 5)],
    "k=__HIVE_DEFAULT_PARTITION__": [None],
    "k=true": [True, "true"],
}


@pytest.mark.parametrize(("folder", "value"), [(folder, value) for folder in AGREEING for value in AGREEING[folder]])
def test_a_column_that_says_what_the_folder_says_is_read_as_it_is(tmp_path: Path, folder: str, value: Any) -> None:
    path = tmp_path / folder / "f.parquet"
    path.parent.mkdir()
    frame = pl.select(pl.lit(value).alias("k"), pl.lit(1).alias("x"))
    frame.write_parquet(path)
    assert read(path).equals(frame)


@pytest.mark.parametrize("values", [[7, 8], ["7", "8"], ["7", None]])
def test_a_column_that_says_something_else_is_refused_with_its_row(tmp_path: Path, values: list[Any]) -> None:
    path = tmp_path / "k=7" / "f.parquet"
    path.parent.mkdir()
    pl.DataFrame({"k": values, "x": [1, 2]}).write_parquet(path)
    assert read(path, columns=["x"])["x"].to_list() == [1, 2]
    with pytest.raises(DataError, match=r"column k: '(8|None)', but the folder is called k=7: rename one .* \(row 2\)"):
        read(path)


def test_a_file_in_a_folder_without_the_key_lacks_the_column(tmp_path: Path) -> None:
    for folder in ("k=1", "z"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "f.csv").write_text("x\n1\n")
    source = open_source(find_files("*/f.csv", tmp_path, "data.train"), DataSection())
    with pytest.raises(DataError, match=r"z/f\.csv: no column 'k'"):
        list(source.frames(["k", "x"]))


def test_a_renamed_folder_is_prepared_again(tmp_path: Path) -> None:
    config = Config.model_validate(
        {"label": "y", "features": {"k": {"type": "id"}}, "data": {"train": "*/f.csv", "valid": "*/f.csv"}}
    )
    (tmp_path / "k=1").mkdir()
    (tmp_path / "k=1" / "f.csv").write_text("y\n0\n1\n")
    first = prepare(config, tmp_path, tmp_path / "cache")
    (tmp_path / "k=1").rename(tmp_path / "k=2")
    second = prepare(config, tmp_path, tmp_path / "cache")
    assert first.folder != second.folder
