"""Histories that no candidate has anything like: what they hold is learned, and scored alike wherever it is scored."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.api.run import Run
from recsys.errors import DataError

FEATURES: dict[str, Any] = {
    "marks": {"type": "sequence", "behaviour": "seen", "max_len": 4},
    "item": {"type": "id"},
    "seen": {"type": "sequence", "of": "item", "max_len": 4},
    "moods": {"type": "sequence", "max_len": 2},
}
MODELS: dict[str, dict[str, Any]] = {
    "din": {"tower": "din", "dim": 8, "attention": [8], "mlp": [16], "activation": "relu"},
    "mlp": {"tower": "mlp", "dim": 8, "mlp": [16]},
    "autoint": {"tower": "autoint", "dim": 8, "layers": 1, "heads": 2, "attention_dim": 4},
    "fm": {"tower": "fm", "dim": 8},
    "lr": {"tower": "lr"},
}


def clicks(num_rows: int, *, seed: int) -> pl.DataFrame:
    """Draw rows whose label says, with some noise, whether the last 4 entries of a history are rated well."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, 7, num_rows)
    marks = [draw.choice([1, 5], n) for n in lengths]
    well = np.array([row[-4:].mean() > 3 for row in marks])
    return pl.DataFrame(
        {
            "click": (well ^ (draw.random(num_rows) < 0.1)).astype(np.int8),
            "item": [f"i{code}" for code in draw.integers(0, 12, num_rows)],
            "seen": [[f"i{code}" for code in draw.integers(0, 12, n)] for n in lengths],
            "marks": [row.tolist() for row in marks],
            "moods": [draw.choice(["good", "bad"], draw.integers(0, 4)).tolist() for _ in range(num_rows)],
        }
    )


SPLITS = {"train": clicks(2000, seed=0), "valid": clicks(400, seed=1), "test": clicks(1000, seed=2)}


def train(folder: Path, tower: str, features: dict[str, Any], **splits: pl.DataFrame) -> Run:
    made = {
        "label": "click",
        "features": features,
        "model": MODELS[tower],
        "train": {"epochs": 6, "batch_size": 128, "dense_optimizer": {"lr": 0.01}, "precision": 32},
    }
    given = SPLITS | splits
    return recsys.train(made, **given, runs_dir=folder / "runs", cache_dir=folder / "cache", device="cpu", log=None)


@pytest.mark.slow
@pytest.mark.parametrize("tower", MODELS)
def test_the_ratings_of_a_history_are_learned_and_scored_alike_by_run_and_bundle(tower: str, tmp_path: Path) -> None:
    run = train(tmp_path, tower, FEATURES)
    assert run.metrics["test.auc"] > 0.8
    assert run.evaluate(SPLITS["test"])["auc"] == pytest.approx(run.metrics["test.auc"], abs=1e-9)
    scores = run.predictions("test")["score"].to_numpy()
    found = run.export(tmp_path / "bundle").predict(SPLITS["test"])["score"].to_numpy()
    np.testing.assert_allclose(found, scores, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_without_the_ratings_there_is_nothing_to_learn(tmp_path: Path) -> None:
    without = {name: feature for name, feature in FEATURES.items() if name != "marks"}
    assert train(tmp_path, "din", without).metrics["test.auc"] < 0.56


def test_a_history_with_fewer_ratings_than_entries_is_an_error_of_its_file_and_row(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    marks = pl.when(pl.int_range(pl.len()) == 7).then(pl.lit([1] * 9)).otherwise("marks")
    SPLITS["train"].with_columns(marks=marks).write_parquet(tmp_path / "log" / "day.parquet")
    made = {"label": "click", "features": FEATURES, "data": {"train": "day.parquet"}, "model": MODELS["din"]}
    seen = len(SPLITS["train"]["seen"][7])
    message = rf"day\.parquet: column marks: seen, marks: .* must be equally long, got {seen} and 9 entries \(row 8\)"
    with pytest.raises(DataError, match=message):
        recsys.train(made, data_dir=tmp_path / "log", runs_dir=tmp_path, cache_dir=tmp_path / "cache", log=None)
