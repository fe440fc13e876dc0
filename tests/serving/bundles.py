"""Bundles of small models."""

from pathlib import Path

import polars as pl
import pytest

from tests.export.bundles import write
from tests.export.models import Made, make
from tests.export.rows import clicks, yaml

ROWS = clicks(70, seed=2)


def export(made: Made, folder: Path, golden: pl.DataFrame) -> Path:
    write(made, folder, golden=golden)
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(yaml("din"), clicks(100), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(made, tmp_path_factory.mktemp("runs") / "din", ROWS)
