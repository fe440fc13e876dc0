"""A click log and a configuration small enough to train in half a second, shared by the tests of runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.config import Config, load_config
from recsys.training.run import TrainResult, train

BASE: dict[str, Any] = {
    "label": "click",
    "group": "user",
    "features": {
        "user": {"type": "id"},
        "item": {"type": "id"},
        "price": {"type": "number", "normalize": "standard"},
        "seen": {"type": "sequence", "of": "item", "max_len": 4},
    },
    "data": {"train": "train.parquet", "valid": "valid.parquet", "test": "test.parquet"},
    "model": {"tower": "mlp", "dim": 8, "mlp": [32, 16], "dropout": 0.2},
    "train": {"epochs": 3, "batch_size": 128, "early_stopping": None, "dense_optimizer": {"lr": 0.01}, "precision": 32},
}

QUICK: dict[str, Any] = {
    "lr_schedule": "constant",
    "regularization": {"rows": 0},
    "sparse_optimizer": {"lr": 0.05},
}
"""Keys of `train` by which two or three epochs are enough for the log, where a test needs a model that has learned."""


def clicks(num_rows: int, *, seed: int) -> pl.DataFrame:
    """Draw rows whose clicks follow from whether user and item are both odd or both even: a checkerboard."""
    draw = np.random.default_rng(seed)
    user, item = draw.integers(0, 20, num_rows), draw.integers(0, 12, num_rows)
    logit = np.where((user + item) % 2 == 0, 2.0, -2.0)
    return pl.DataFrame(
        {
            "user": user,
            "item": [f"i{code}" for code in item],
            "price": draw.normal(50, 10, num_rows),
            "seen": [[f"i{code}" for code in draw.integers(0, 12, n)] for n in draw.integers(0, 6, num_rows)],
            "weight": draw.uniform(0.1, 3, num_rows),
            "click": (draw.random(num_rows) < 1 / (1 + np.exp(-logit))).astype(np.int8),
            "buy": (draw.random(num_rows) < 1 / (1 + np.exp(logit))).astype(np.int8),
        }
    )


def write_log(folder: Path) -> Path:
    """Write the three splits: 1600, 400 and 400 rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, num_rows) in enumerate({"train": 1600, "valid": 400, "test": 400}.items()):
        clicks(num_rows, seed=seed).write_parquet(folder / f"{split}.parquet")
    return folder


def write_config(path: Path, **changes: Any) -> Path:
    """Write `BASE` with whole sections replaced, and `train` updated key by key. JSON is YAML."""
    content = BASE | changes | {"train": BASE["train"] | changes.get("train", {})}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return path


def make_config(folder: Path, **changes: Any) -> Config:
    return load_config(write_config(folder / "config.yaml", **changes))


def run(data_dir: Path, folder: Path, config: Config | None = None, **options: Any) -> TrainResult:
    """Train on the log; `folder` is the run's."""
    config = config or make_config(folder.with_name(folder.name + "-config"))
    options = {"log": lambda line: None, "device": "cpu"} | options
    return train(config, data_dir=data_dir, cache_dir=data_dir / "cache", folder=folder, **options)


def epochs(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def steady(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that do not depend on the clock."""
    return {name: value for name, value in metrics.items() if name not in ("seconds", "rows_per_second")}


def predictions(folder: Path, split: str = "test") -> pl.DataFrame:
    return pl.read_parquet(folder / "predictions" / f"{split}.parquet")
