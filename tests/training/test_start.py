"""What is refused before training, when a run starts or is resumed."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from recsys.config import Config
from recsys.errors import ConfigError, DataError, LockedError
from recsys.files import locked
from recsys.run_folder import RunFolder
from recsys.training import start
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


def test_a_run_is_trained_by_one_process_at_a_time(
    whole: TrainResult, log: Path, often: Config, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    for folder, resume in [(whole.folder, True), (tmp_path / "new", False)]:
        before = sorted(folder.rglob("*"))
        with locked(RunFolder(folder).lock, "held"), pytest.raises(LockedError, match="is being trained by process"):
            run(log, folder, often, resume=resume)
        assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "last_written", ["transform", "golden.parquet", "environment.json", "data.json", "checksums.json"]
)
def test_a_run_that_was_killed_before_it_had_begun_is_started_again_under_its_name(
    last_written: str, whole: TrainResult, log: Path, often: Config, tmp_path: Path
) -> None:
    names = ["transform", "golden.parquet", "environment.json", "data.json", "checksums.json"]
    (tmp_path / "run").mkdir()
    for name in names[: names.index(last_written) + 1]:
        copy = shutil.copytree if name == "transform" else shutil.copyfile
        copy(whole.folder / name, tmp_path / "run" / name)
    (tmp_path / "run" / ".lock").write_text("process 1 on a host that is gone")
    with pytest.raises(DataError, match="it was stopped before it had begun: start it again under its name"):
        run(log, tmp_path / "run", often, resume=True)
    assert run(log, tmp_path / "run", often).metrics["test.auc"] == whole.metrics["test.auc"]
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_folder_with_files_of_the_user_is_not_free(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "new").is_free
    (tmp_path / "data.json").write_text("mine")
    assert not RunFolder(tmp_path).is_free
    assert not RunFolder(tmp_path / "data.json").is_free


@pytest.mark.parametrize(
    "changes",
    [
        {"tables": {"all": {"features": ["*"], "scheme": "hash", "budget": "1B"}}},
        {"tables": {"all": {"features": ["*"], "scheme": "qr", "budget": "1B"}}},
        {"model": {"tower": "fm", "dim": 8, "mlp": [8]}, "tables": {"items": {"features": ["item"], "dim": 4}}},
    ],
)
def test_what_cannot_be_built_leaves_no_folder_that_refuses_the_mended_configuration(
    changes: dict[str, Any], log: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError):
        run(log, tmp_path / "run", make_config(tmp_path, **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("name", ["write_golden_rows", "write_json", "write_atomic"])
def test_a_start_that_finds_no_room_leaves_nothing(
    name: str, number: int, log: Path, often: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(start, name, refused)
    with pytest.raises(OSError, match=os.strerror(number)) as error:
        run(log, tmp_path / "run", often)
    assert error.value.filename == str(tmp_path / "run")
    assert not (tmp_path / "run").exists()
