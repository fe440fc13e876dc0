"""Configurations that were not read from a file."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import recsys
from recsys.api.config import class_path, with_data
from recsys.config import dump
from recsys.embeddings.schemes.hash import Hash
from recsys.errors import ConfigError
from recsys.losses.logloss import LogLoss
from recsys.towers.lr import Lr
from tests.training.logs import BASE, write_config

FRAME = pl.DataFrame({"user": [1, 2], "click": [0, 1]})
SMALL: dict[str, Any] = {"label": "click", "features": {"user": {"type": "id"}}}


def test_a_dict_a_text_and_a_file_give_equal_configurations(tmp_path: Path) -> None:
    from_dict = recsys.load_config(BASE)
    path = write_config(tmp_path / "run.yaml")
    assert from_dict == recsys.load_config(str(path)) == recsys.load_config(path)
    assert from_dict == recsys.load_config(dump(from_dict))
    assert recsys.load_config(from_dict) is from_dict


def test_all_problems_of_a_dict_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        recsys.load_config({**SMALL, "features": {"user": {"type": "idd"}}, "train": {"epochs": 0}})
    lines = str(error.value).splitlines()
    assert lines[0] == "2 problems in the configuration"
    assert [line.split(": ")[0] for line in lines[1:]] == ["features.user.type", "train.epochs"]


def test_problems_of_a_text_name_their_line() -> None:
    with pytest.raises(ConfigError, match=r"<text>:3: features.user.type"):
        recsys.load_config("label: click\nfeatures:\n  user: {type: idd}\n")


def test_lists_and_paths_are_taken_as_in_a_file() -> None:
    config = recsys.load_config(
        {**SMALL, "data": {"train": [Path("a.csv"), "b.csv"]}, "model": {"tower": "mlp", "mlp": [8]}}
    )
    assert config.data.train == ("a.csv", "b.csv")


def test_a_class_stands_for_its_import_path() -> None:
    tables = {"users": {"features": ["user"], "scheme": Hash, "rows": 8}}
    own = {"model": {"tower": Lr}, "tables": tables, "train": {"loss": LogLoss}}
    config = recsys.load_config({**SMALL, **own})
    assert config.model.tower == "recsys.towers.lr:Lr"
    assert config.tables["users"].scheme == "recsys.embeddings.schemes.hash:Hash"
    assert config.train.loss.name == "recsys.losses.logloss:LogLoss"
    assert recsys.load_config(dump(config)) == config


def test_a_class_that_cannot_be_imported_is_refused() -> None:
    class Local:
        pass

    with pytest.raises(ConfigError, match=r"^model.tower: a class must be defined at the top level of a module, got "):
        recsys.load_config({**SMALL, "model": {"tower": Local}})
    assert class_path(Path, where="model.tower") == "pathlib:Path"


def test_a_frame_in_the_data_section_is_written_to_the_cache(tmp_path: Path) -> None:
    config = recsys.load_config({**SMALL, "data": {"train": FRAME}}, cache_dir=tmp_path)
    assert isinstance(config.data.train, str)
    assert Path(config.data.train).parent == tmp_path / "frames"
    assert with_data(recsys.load_config(SMALL), {"train": FRAME, "valid": None}, tmp_path) == config


def test_a_frame_has_no_other_file_format(tmp_path: Path) -> None:
    message = r"data.format: must be left out where data.train is a data frame"
    with pytest.raises(ConfigError, match=message):
        recsys.load_config({**SMALL, "data": {"train": FRAME, "format": "csv"}}, cache_dir=tmp_path)
    config = recsys.load_config({**SMALL, "data": {"format": "csv"}})
    with pytest.raises(ConfigError, match=message):
        with_data(config, {"train": FRAME}, tmp_path)


def test_data_that_contradicts_the_configuration_is_refused(tmp_path: Path) -> None:
    config = recsys.load_config({**SMALL, "data": {"split": {"by": "fraction"}}})
    with pytest.raises(ConfigError, match=r"data.valid: must not be given together with data.split"):
        with_data(config, {"train": FRAME, "valid": FRAME}, tmp_path)
    with pytest.raises(ConfigError, match=r"data.train: must be a data frame, a path or a list of paths, got int"):
        with_data(config, {"train": 7}, tmp_path)


@pytest.mark.parametrize("source", [None, 3, ["run.yaml"]])
def test_what_is_no_configuration_is_refused_by_its_type(source: Any) -> None:
    with pytest.raises(ConfigError, match=f"must be a path, YAML text or a mapping, got {type(source).__name__}"):
        recsys.load_config(source)
