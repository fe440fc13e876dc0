"""What is refused before training, when a run starts or is resumed."""

from pathlib import Path
from typing import Any

import pytest

from recsys.config import Config
from recsys.errors import ConfigError, DataError
from recsys.training.run import TrainResult
from tests.training.interruptions import (
    OFTEN,
)
from tests.training.logs import clicks, make_config, run, write_log

pytestmark = pytest.mark.slow


def test_another_configuration_is_refused(whole: TrainResult, log: Path, tmp_path: Path) -> None:
    other = make_config(tmp_path, train=OFTEN | {"batch_size": 64})
    with pytest.raises(ConfigError, match="was made with another configuration; compare with"):
        run(log, whole.folder, other, resume=True)


def test_other_data_is_refused(whole: TrainResult, often: Config, tmp_path: Path) -> None:
    changed = write_log(tmp_path / "log")
    clicks(1601, seed=0).write_parquet(changed / "train.parquet")
    with pytest.raises(DataError, match="the data files have changed since the run began"):
        run(changed, whole.folder, often, resume=True)


def test_a_folder_that_is_no_run_is_refused(often: Config, log: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a run folder: it has no config\.yaml"):
        run(log, tmp_path / "nowhere", often, resume=True)


def test_where_tables_lie_may_change_and_nothing_else(log: Path, tmp_path: Path) -> None:
    """Also of a table that the file did not name before; the message says what else has changed."""
    folder = tmp_path / "run"
    run(log, folder, make_config(tmp_path / "a", train={"epochs": 1}))
    table = {"features": ["item"], "sharding": "row_wise", "placement": "uvm"}
    said: list[str] = []
    named = make_config(tmp_path / "b", tables={"item": table}, train={"epochs": 1, "communication": "bf16"})
    run(log, folder, named, resume=True, log=said.append)
    assert said == ["training was over after epoch 1"]
    with pytest.raises(ConfigError, match=r"was made with another configuration; .*:\n  -     dim: 8\n  \+     dim: 4"):
        run(log, folder, make_config(tmp_path / "c", tables={"item": table | {"dim": 4}}), resume=True)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model": {"tower": "no_such_module:Own"}}, "model.tower"),
        ({"train": {"loss": "no_such_module:Own"}}, "train.loss"),
        ({"tables": {"all": {"features": ["user"], "scheme": "no_such_module:Own"}}}, "tables.all.scheme"),
    ],
)
def test_a_class_that_is_not_there_is_refused_before_anything_is_written(
    changes: dict[str, Any], key: str, log: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: cannot find the module no_such_module"):
        run(log, tmp_path / "new", make_config(tmp_path, **changes))
    assert not (tmp_path / "new").exists()
