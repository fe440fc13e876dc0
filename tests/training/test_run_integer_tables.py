"""Whole runs whose tables are integers that update themselves: no table of floats, and nothing of a step is lost."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recsys.checkpoint.load import load_checkpoint
from recsys.config import Config
from recsys.embeddings.schemes.integer_table import IntegerTable
from recsys.export import export_run
from recsys.serving import Scorer
from recsys.training.build import load_run
from recsys.training.run import TrainResult
from tests.training.interruptions import STEPS, check_resumed
from tests.training.logs import epochs, make_config, predictions, run

pytestmark = pytest.mark.slow

TABLES: dict[str, Any] = {
    "users": {"features": ["user"], "scheme": "int8"},
    "items": {"features": ["item"], "scheme": "alpt", "scale_lr": 0.001},
}
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"tower": "mlp", "dim": 8, "mlp": [32, 16], "dropout": 0.2, "batch_norm": True}},
    "din": {"model": {"tower": "din", "dim": 8, "attention": [6], "mlp": [16], "activation": "dice"}},
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Config:
    train = {"checkpoint_minutes": 0.0, "lr_schedule": {"name": "plateau", "factor": 0.5}, "epochs": 2}
    return make_config(tmp_path_factory.mktemp("config"), tables=TABLES, train=train, **MODELS[request.param])


@pytest.fixture(scope="module")
def whole(log: Path, config: Config, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The run that nobody stopped."""
    return run(log, tmp_path_factory.mktemp("runs") / "whole", config)


def test_a_run_learns_and_reports_its_bytes(whole: TrainResult) -> None:
    losses = [line["train.loss"] for line in epochs(whole.folder)]
    assert losses[1] < losses[0]
    built = load_run(whole.folder, device=torch.device("cpu"))
    schemes = list(built.layout.schemes.values())
    assert all(isinstance(scheme, IntegerTable) for scheme in schemes)
    num_users, num_items = (sum(vocabulary.size for vocabulary in scheme.vocabularies) for scheme in schemes)
    assert whole.metrics["embedding_bytes.serving"] == 8 * num_users + (8 + 4) * num_items
    rates, draws = 8 + 2 * 8, 2 * 16
    assert (
        whole.metrics["embedding_bytes.checkpoint"] == (8 + 4) * num_users + (8 + 4 + 4 + 4) * num_items + rates + draws
    )


def test_the_bundle_of_a_run_scores_its_test_rows_as_the_run_did(whole: TrainResult, log: Path, tmp_path: Path) -> None:
    export_run(whole.folder, tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.read_parquet(log / "test.parquet"))
    np.testing.assert_allclose(scores[:, 0], predictions(whole.folder)["score"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("step", [1, STEPS + 4])
def test_a_run_stopped_right_after_a_checkpoint_ends_as_if_it_had_not_been(
    step: int, config: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    check_resumed(step, config, whole, log, folder, is_saved=True)
    states = []
    for path in (folder, whole.folder):
        built = load_run(path, device=torch.device("cpu"))
        load_checkpoint(path / "checkpoints" / "last", built.model)
        states.append(built.model.module.dense_arch.schemes.state_dict())
    assert set(states[0]) > {"users_table.codes", "items_table.scales", "items_table.optimizer.squares"}
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
