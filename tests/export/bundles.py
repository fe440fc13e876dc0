"""Bundles of a small model with two tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.bundle_folder import ModelFormat
from recsys.config.schemes.base import ServedPrecision
from recsys.export import write_bundle
from tests.export.models import Made, make, slow_scores
from tests.export.rows import clicks, yaml

GOLDEN = clicks(40, seed=2)


def write(
    made: Made,
    folder: Path,
    *,
    golden: pl.DataFrame = GOLDEN,
    expected: np.ndarray | None = None,
    model_format: ModelFormat = "torchscript",
    precisions: Mapping[str, ServedPrecision] | None = None,
    user_columns: Sequence[str] = (),
) -> None:
    write_bundle(
        folder,
        resolved=made.resolved,
        state=made.state,
        layout=made.layout,
        tower=made.tower,
        weights=made.weights,
        golden=golden,
        expected=slow_scores(made, golden) if expected is None else expected,
        metrics={"test.auc": 0.75},
        model_format=model_format,
        precisions=precisions,
        user_columns=user_columns,
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(yaml("din", label="{click: clicked, buy: bought}"), clicks(100), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "deep" / "shop"
    write(made, folder)
    return folder
