"""Whole runs whose tables are trained in 32 bits and served in 16: all figures are those of what is served."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recsys.config import Config
from recsys.export import export_run
from recsys.serving import Scorer
from recsys.training.build import load_run
from recsys.training.run import TrainResult
from recsys.training.strategy import table_weights
from tests.training.interruptions import STEPS, check_resumed
from tests.training.logs import make_config, predictions, run

pytestmark = pytest.mark.slow

BLOCKS = ({"ids": 5, "dim": 8}, {"dim": 4})
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"tower": "mlp", "dim": 8, "mlp": [32, 16]}},
    "din": {"model": {"tower": "din", "dim": 8, "attention": [6], "mlp": [16], "activation": "dice"}},
}


def tables(**changes: Any) -> dict[str, Any]:
    return {
        "users": {"features": ["user"], **changes},
        "items": {"features": ["item"], "scheme": "blocks", "blocks": BLOCKS, **changes},
    }


@pytest.fixture(scope="module", params=sorted(MODELS))
def config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder, train = tmp_path_factory.mktemp("config"), {"checkpoint_minutes": 0.0, "epochs": 2}
    return make_config(folder, tables=tables(serving_precision="fp16"), train=train, **MODELS[request.param])


@pytest.fixture(scope="module")
def whole(log: Path, config: Config, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The run that nobody stopped."""
    return run(log, tmp_path_factory.mktemp("runs") / "whole", config)


def test_the_rows_of_the_best_epoch_are_those_that_are_served(whole: TrainResult) -> None:
    weights = table_weights(load_run(whole.folder, device=torch.device("cpu")).model)
    assert len(weights) == 3
    for weight in weights.values():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, weight.half().float())
        assert weight.unique().numel() > 8


def test_the_bundle_scores_as_the_run_did_and_has_half_of_the_bytes(
    whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    export_run(whole.folder, tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.read_parquet(log / "test.parquet"))
    np.testing.assert_allclose(scores[:, 0], predictions(whole.folder)["score"], rtol=0, atol=1e-6)
    graph = torch.jit.load(tmp_path / "bundle" / "model.pt")
    rows = [value for name, value in graph.state_dict().items() if name.endswith(".weight") and ".physical." in name]
    assert {value.dtype for value in rows} == {torch.float16}
    assert sum(2 * value.numel() for value in rows) == whole.metrics["embedding_bytes.serving"]
    assert whole.metrics["embedding_bytes.training"] > 2 * whole.metrics["embedding_bytes.serving"]


@pytest.mark.parametrize("step", [1, STEPS + 4])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    step: int, config: Config, whole: TrainResult, log: Path, tmp_path: Path
) -> None:
    check_resumed(step, config, whole, log, tmp_path / "run")


def test_training_loses_nothing_unlike_that_of_rows_of_16_bits(log: Path, tmp_path: Path) -> None:
    rows = {}
    for name, keys in {"fp32": {}, "served": {"serving_precision": "fp16"}, "half": {"precision": "fp16"}}.items():
        train = {"epochs": 1, "batch_size": 16, "sparse_optimizer": {"name": "sgd", "lr": 0.01}}
        tables = {"users": {"features": ["user"], **keys}}
        config = make_config(tmp_path / f"{name}-config", tables=tables, train=train, **MODELS["mlp"])
        found = run(log, tmp_path / name, config)
        rows[name] = table_weights(load_run(found.folder, device=torch.device("cpu")).model)["users_table"].float()
    rounded = rows["fp32"].half().float()
    assert torch.equal(rows["served"], rounded)
    assert (rows["half"] != rounded).float().mean() > 0.5
