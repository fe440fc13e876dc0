"""Fixtures of several packages' tests."""

import threading
from collections.abc import Iterator
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


@pytest.fixture(autouse=True)
def no_reader_goes_on() -> Iterator[None]:
    """However a test ended what it trained: no thread prepares batches afterwards, with a window of rows in memory."""
    yield
    left = [thread for thread in threading.enumerate() if thread.name == "prefetch"]
    for thread in left:
        thread.name = "prefetch, left by an earlier test"
    assert not left, f"{len(left)} readers are still at work"
