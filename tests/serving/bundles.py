"""Bundles of small models."""

from pathlib import Path

import polars as pl
import pytest

from recsys.export import write_bundle
from tests.export.models import Made, make, slow_scores
from tests.export.rows import clicks, yaml

ROWS = clicks(70, seed=2)


def export(made: Made, folder: Path, golden: pl.DataFrame) -> Path:
    write_bundle(
        folder,
        resolved=made.resolved,
        state=made.state,
        layout=made.layout,
        tower=made.tower,
        weights=made.weights,
        golden=golden,
        expected=slow_scores(made, golden),
        metrics={},
    )
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(yaml("din"), clicks(100), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(made, tmp_path_factory.mktemp("runs") / "din", ROWS)
