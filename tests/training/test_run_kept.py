"""A run whose vocabulary keeps the values of a file, which may go once the run has begun."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.config import Config
from recsys.errors import ConfigError, DataError
from recsys.export.run import export_run
from recsys.features.fingerprint import Keys
from recsys.features.kept import write_kept
from recsys.training.build import load_run
from tests.training.interruptions import interrupted_in_batch
from tests.training.logs import BASE, make_config, run, steady

pytestmark = pytest.mark.slow
SOME: Keys = np.arange(0, 12)


def named(folder: Path) -> Config:
    """Return a configuration that names a file of the users which it keeps."""
    features = BASE["features"] | {"user": {"type": "id", "kept": "kept/user.parquet"}}
    return make_config(folder, features=features, train={"epochs": 2, "checkpoint_minutes": 0.0})


def keeping(folder: Path, keys: Keys) -> Config:
    """Write the file, and return the configuration that names it."""
    write_kept(folder / "kept" / "user.parquet", keys, "int")
    return named(folder)


def test_a_run_goes_on_and_is_exported_when_the_file_is_gone(log: Path, tmp_path: Path) -> None:
    whole = run(log, tmp_path / "whole", keeping(tmp_path, SOME))
    with interrupted_in_batch(5):
        run(log, tmp_path / "run", keeping(tmp_path, SOME))
    (tmp_path / "kept" / "user.parquet").unlink()
    resumed = run(log, tmp_path / "run", named(tmp_path), resume=True)
    assert steady(resumed.metrics) == steady(whole.metrics)
    assert load_run(tmp_path / "run", device=torch.device("cpu")).layout.schemes["user"].vocabularies[0].num_ids == 13
    export_run(tmp_path / "run", tmp_path / "bundle")


def test_another_content_is_another_run(log: Path, tmp_path: Path) -> None:
    run(log, tmp_path / "run", keeping(tmp_path, SOME))
    with pytest.raises(ConfigError, match="was made with another configuration"):
        run(log, tmp_path / "run", keeping(tmp_path, SOME[:-1]), resume=True)


def test_a_new_run_needs_the_file(log: Path, tmp_path: Path) -> None:
    config = keeping(tmp_path, SOME)
    (tmp_path / "kept" / "user.parquet").unlink()
    with pytest.raises(DataError, match="and the vocabulary is to be fitted"):
        run(log, tmp_path / "new", config.replaced(group=None))
    with pytest.raises(DataError, match=r"config\.yaml:1: features\.user\.kept: no such file: /.*user\.parquet$"):
        run(log, tmp_path / "run", named(tmp_path))
