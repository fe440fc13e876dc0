"""Fixtures that load a configuration from a text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.config import Config, load_config
from recsys.errors import ConfigError

Load = Callable[[str], Config]
Problems = Callable[[str], list[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, so that messages have short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def load(folder: Path) -> Load:
    """Load a text as shop.yaml."""

    def load_text(text: str) -> Config:
        Path("shop.yaml").write_text(text, encoding="utf-8")
        return load_config(Path("shop.yaml"))

    return load_text


@pytest.fixture
def problems(load: Load) -> Problems:
    """Load a text as shop.yaml, and return the lines of its error."""

    def load_bad_text(text: str) -> list[str]:
        with pytest.raises(ConfigError) as error:
            load(text)
        return str(error.value).splitlines()

    return load_bad_text
