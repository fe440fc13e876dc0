"""Clicks that follow from the dot product of a user's and an item's vector: 16 dims for frequent items, 4 for rare."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch

from recsys.config import load_config
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.search.methods.base import Method
from recsys.training.build import LoadedModel, load_run
from recsys.training.run import train
from recsys.training.schedule import ScheduleFactory

NUM_USERS, NUM_ITEMS, NUM_FREQUENT, NUM_NOISE = 300, 220, 60, 300
ROWS = {"train": 60_000, "valid": 12_000, "test": 4_000}


def clicks(num_rows: int, *, seed: int, part: int) -> pl.DataFrame:
    """Draw rows of one split; the vectors are those of the seed."""
    draw = np.random.default_rng([seed])
    users, items = draw.normal(size=(NUM_USERS, 16)), draw.normal(size=(NUM_ITEMS, 16))
    items[NUM_FREQUENT:, 4:] = 0
    items[NUM_FREQUENT:] *= 2  # as long as the frequent ones
    draw = np.random.default_rng([seed, part])
    user, is_frequent = draw.integers(0, NUM_USERS, num_rows), draw.random(num_rows) < 0.6
    frequent, rare = draw.integers(0, NUM_FREQUENT, num_rows), draw.integers(NUM_FREQUENT, NUM_ITEMS, num_rows)
    item = np.where(is_frequent, frequent, rare)
    logit = 0.6 * (users[user] * items[item]).sum(1)
    label = draw.random(num_rows) < 1 / (1 + np.exp(-logit))
    noise = draw.integers(0, NUM_NOISE, num_rows)
    return pl.DataFrame({"user": user, "item": item, "noise": noise, "click": label.astype(np.int8)})


def make_low_rank(folder: Path, *, seed: int, fields: Sequence[str] = ("user", "item")) -> Prepared:
    """Write the log, and prepare some of its fields for a factorization machine of 32 dims."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, (split, num_rows) in enumerate(ROWS.items(), 1):
        clicks(num_rows, seed=seed, part=part).write_parquet(folder / f"{split}.parquet")
    content = {
        "label": "click",
        "features": {field: {"type": "id"} for field in fields},
        "data": {split: f"{split}.parquet" for split in ROWS},
        "model": {"tower": "fm", "dim": 32},
        "train": {
            "epochs": 20,
            "batch_size": 512,
            "seed": seed,
            "precision": 32,
            "sparse_optimizer": {"name": "adagrad", "lr": 0.1},
            "dense_optimizer": {"lr": 0.001},
            "regularization": {"rows": 0},
            "lr_schedule": "constant",
            "early_stopping": {"patience": 1},
        },
    }
    (folder / "config.yaml").write_text(json.dumps(content))
    return prepare(load_config(folder / "config.yaml"), folder, folder / "cache")


def train_supernet(
    method: Method, prepared: Prepared, folder: Path, schedule: ScheduleFactory | None = None
) -> LoadedModel:
    """Train the supernet of a method, and load its best epoch."""
    data = prepared.folder.parents[1]
    options = {"data_dir": data, "cache_dir": data / "cache", "device": "cpu", "log": lambda _: None}
    train(method.supernet(prepared), folder=folder, schedule=schedule or method.schedule, **options)  # type: ignore[arg-type]
    return load_run(folder, device=torch.device("cpu"))
