"""A run folder from somebody else is data: no command runs what stands in it."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.logs import run, write_config, write_log

pytestmark = pytest.mark.slow


class Attack:
    """What a pickle may do: anything."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def test_a_pickle_in_a_run_folder_is_refused_by_every_command_and_not_run(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log, config = write_log(tmp_path / "log"), write_config(tmp_path / "run.yaml")
    folder = run(log, tmp_path / "runs" / "run").folder
    for name in ("best", "last"):
        checkpoint = folder / "checkpoints" / name
        for other in ("metadata.json", "checksums.json"):  # as a former version would have written it
            (checkpoint / other).unlink()
        (checkpoint / ".metadata").write_bytes(pickle.dumps(Attack(tmp_path / "written")))
    shutil.copytree(folder / "checkpoints" / "last", tmp_path / "copy")
    commands: list[list[Any]] = [
        ["evaluate", folder, log / "test.parquet"],
        ["evaluate", folder, "--report", tmp_path / "report", "--importance"],
        ["importance", folder],
        ["export", folder, "--out", tmp_path / "bundle"],
        ["train", config, "--data-dir", log, "--resume", folder],
        ["checkpoint", "inspect", folder],
        ["checkpoint", "inspect", tmp_path / "copy"],
        ["checkpoint", "convert", folder, tmp_path / "plain.pt"],
        ["checkpoint", "diff", tmp_path / "copy", folder],
    ]
    for command in commands:
        assert ".metadata: cannot be read as the list of tensors" in refused(*command), command
    assert not (tmp_path / "written").exists()
