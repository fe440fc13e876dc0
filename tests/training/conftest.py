"""Fixtures of the tests of training."""

from pathlib import Path

import pytest

from tests.training.interruptions import often, rarely, whole
from tests.training.logs import clicks

__all__ = ["often", "rarely", "uneven", "whole"]


@pytest.fixture(scope="session")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose rows do not divide by the ranks; its last batch of 37 rows in an epoch has one row."""
    folder = tmp_path_factory.mktemp("uneven")
    for seed, (split, num_rows) in enumerate({"train": 37 * 13 + 1, "valid": 101, "test": 401}.items()):
        clicks(num_rows, seed=seed).write_parquet(folder / f"{split}.parquet")
    return folder
