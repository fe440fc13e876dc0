"""Fixtures of several packages' tests."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.training.logs import write_log

settings.register_profile("recsys", deadline=None, derandomize=True)  # the same examples on any machine, however slow
settings.load_profile("recsys")


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train, valid and test.parquet; not to be written to, but for its `cache`."""
    return write_log(tmp_path_factory.mktemp("log"))
