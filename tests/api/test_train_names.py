"""Names that a configuration permits, through everything that a run does."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import recsys
from tests.config.texts import PERMITTED

ROWS = pl.DataFrame(
    {
        "y": [i % 2 for i in range(200)],
        "z": [i // 3 % 2 for i in range(200)],
        "item": [i * 7 % 11 for i in range(200)],
        "history": [[i % 11, i % 7] for i in range(200)],
        "price": [i / 200 for i in range(200)],
    }
)


SCHEMES: list[dict[str, Any]] = [{"scheme": "full"}, {"scheme": "qr", "divisor": 3}, {"scheme": "hash", "rows": 5}]


def config() -> dict[str, Any]:
    """Return a configuration in which each permitted name is that of features and of a table, and two are tasks'."""
    features: dict[str, Any] = {name: {"type": "id", "column": "item"} for name in PERMITTED}
    features |= {f"{name}h"[1:]: {"type": "sequence", "of": name, "column": "history"} for name in PERMITTED[:6]}
    features |= {f"n{name}"[:200]: {"type": "number", "column": "price"} for name in PERMITTED}
    tables = {
        f"{name}{i}"[-200:]: {"features": [name], "dim": 8, **SCHEMES[i % 3]}
        for i, name in enumerate(PERMITTED)
        if i % 4
    }
    return {
        "label": {"a/b.c 'q\" [red] \N{SNOWMAN}": "y", "auc": "z"},
        "features": features,
        "tables": tables,
        "model": {"tower": "din", "mlp": [8], "attention": [4], "dim": 8},
        "train": {"epochs": 1, "batch_size": 50},
        "data": {"train": ROWS},
    }


@pytest.mark.slow
def test_a_run_takes_any_name_that_is_permitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = config()
    run = recsys.train(made, name="names", log=None)
    assert {"valid.auc.auc", "test.auc.logloss"} <= set(run.metrics)
    assert recsys.load_config(run.path / "config.yaml").features.keys() == made["features"].keys()
    assert run.evaluate(ROWS)["auc.rows"] == ROWS.height
    scores = run.export("bundle").predict(ROWS)
    assert scores.columns == [f"score.{task}" for task in made["label"]]
    assert scores.null_count().row(0) == (0, 0)
