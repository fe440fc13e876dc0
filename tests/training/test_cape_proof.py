"""CaPE's claim on a log with known probabilities: its error to them is not above that of early stopping."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.config import Config
from tests.training.known_odds import draw
from tests.training.logs import QUICK, make_config, predictions, run

pytestmark = pytest.mark.proof

SEEDS = (1, 2, 3)
ROWS = {"train": 6000, "valid": 6000, "test": 20_000}


def config_of(folder: Path, seed: int, calibrated: str | None) -> Config:
    train: dict[str, Any] = QUICK | {
        "epochs": 30,
        "batch_size": 64,
        "seed": seed,
        "dense_optimizer": {"lr": 0.001},
        "early_stopping": {"metric": "logloss", "patience": 4},
    }
    return make_config(
        folder,
        group=None,
        features={"user": {"type": "id"}, "n*": {"type": "number"}},
        model={"tower": "mlp", "dim": 8, "mlp": [128, 64]},
        train=train | ({} if calibrated is None else {"calibrated": calibrated}),
    )


def test_the_error_to_the_true_probabilities_is_not_above_that_of_early_stopping(tmp_path: Path) -> None:
    truth: dict[str, Any] = {}
    for seed, (split, num_rows) in enumerate(ROWS.items()):
        rows, truth[split] = draw(num_rows, seed=seed)
        rows.write_parquet(tmp_path / f"{split}.parquet")
    errors: dict[str, list[float]] = {}
    for name, calibrated in {"early stopping": None, "bins": "bins", "kernel": "kernel"}.items():
        for seed in SEEDS:
            folder = tmp_path / f"{name}-{seed}"
            found = run(tmp_path, folder, config_of(tmp_path / f"config-{name}-{seed}", seed, calibrated))
            error = float(np.mean((predictions(folder)["score"].to_numpy() - truth["test"]) ** 2))
            errors.setdefault(name, []).append(error)
            print(
                f"{name}, seed {seed}: MSE to the true probabilities {error:.6f}, logloss "
                f"{found.metrics['test.logloss']:.5f}, epoch {found.metrics['best_epoch']} of {found.metrics['epochs']}"
            )
    means = {name: float(np.mean(of_seeds)) for name, of_seeds in errors.items()}
    print("mean MSE: " + ", ".join(f"{name} {mean:.6f}" for name, mean in means.items()))
    assert max(means["bins"], means["kernel"]) <= 1.01 * means["early stopping"]
