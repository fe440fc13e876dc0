"""Runs and files of predictions of models that are as good as asked for, without a training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

CONFIG = "label: click\nfeatures: {{user: {{type: id}}}}\ntrain: {{seed: {seed}, batch_size: {batch_size}}}\n"


def write_scores(path: Path, *, noise: float, seed: int = 1, rows: int = 2000, groups: bool = True) -> Path:
    """Write the predictions of a model for rows that are always the same; more noise is a worse model."""
    logit, label = log_of(rows)
    blurred = logit + noise * np.random.default_rng(seed).normal(size=rows)
    columns: dict[str, Any] = {"label": label.astype(np.float32), "score": 1 / (1 + np.exp(-blurred))}
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(columns | ({"group": np.arange(rows) // 20} if groups else {})).write_parquet(path)
    return path


def write_run(
    folder: Path, *, noise: float, seed: int = 1, batch_size: int = 8, data: str = "one", **scores: Any
) -> Path:
    """Write what a comparison reads of a run."""
    path = write_scores(folder / "predictions" / "test.parquet", noise=noise, seed=seed, **scores)
    (folder / "config.yaml").write_text(CONFIG.format(seed=seed, batch_size=batch_size))
    (folder / "data.json").write_text(json.dumps({"prepared": data, "content": data}))
    (folder / "metrics.json").write_text("{}")
    return path.parents[1]


def log_of(rows: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the true logits and the labels."""
    rng = np.random.default_rng(99)
    logit = rng.normal(size=rows)
    return logit, rng.random(rows) < 1 / (1 + np.exp(-logit))
