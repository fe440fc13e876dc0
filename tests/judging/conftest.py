from pathlib import Path

import pytest

from tests.judging.rich_log import write_rich_log


@pytest.fixture(scope="session")
def rich_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of features of all types; not to be written to, but for its `cache`."""
    return write_rich_log(tmp_path_factory.mktemp("rich") / "log")
