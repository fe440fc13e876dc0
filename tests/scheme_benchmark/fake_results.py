"""A comparison that nobody trained: results and predictions made up for the tests of its tables."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.config import FullTable, HashTable
from recsys.scheme_benchmark.comparison import Comparison
from recsys.scheme_benchmark.grid import Cell, Grid, GridEntry
from recsys.scheme_benchmark.result import Result, run_folder

ROWS = 2000
FULL = FullTable(features=("*",))


def hashed(rows: int) -> HashTable:
    return HashTable(features=("*",), scheme="hash", rows=rows)


def grid(seeds: int = 2) -> Grid:
    """Return full, and at one budget hash, hash/per_feature and a scheme that does not reach it."""
    at = {"budget": "0.1", "allowed": 400}
    entries = [
        GridEntry(variant="full", budget=None, allowed=None, spec=FULL),
        GridEntry(variant="hash", **at, spec=hashed(10)),
        GridEntry(variant="hash/per_feature", **at, spec=hashed(9)),
        GridEntry(variant="qr", **at, reason="the least it can be is 900 B, 0.22 of full"),
    ]
    return Grid(entries=entries, seeds=list(range(1, seeds + 1)), full_bytes=4000)


def result(cell: Cell, **changes: Any) -> Result:
    figures: dict[str, Any] = {
        "auc": 0.7,
        "auc_low": 0.68,
        "auc_high": 0.72,
        "logloss": 0.5,
        "best_epoch": 2,
        "epochs": 3,
        "training_bytes": 500,
        "checkpoint_bytes": 500,
        "serving_bytes": 400,
        "full_bytes": 4000,
        "rows_per_second": 1000.0,
        "seconds": 1.0,
        "lookup_ms": 1.0,
    }
    named = {
        "cell": cell.name,
        "scheme": cell.variant,
        "size_param": cell.size_param,
        "size_value": cell.size_value,
        "seed": cell.seed,
    }
    return Result(**(named | figures | changes))


def write_predictions(folder: Path, cell: Cell, noise: float) -> None:
    """Write scores of which those with less noise rank better; the labels are the same for all cells."""
    label = np.random.default_rng(0).integers(0, 2, ROWS)
    score = label + np.random.default_rng([cell.seed, *cell.variant.encode()]).normal(0, noise, ROWS)
    path = run_folder(folder, cell.name) / "predictions" / "test.parquet"
    path.parent.mkdir(parents=True)
    pl.DataFrame({"label": label.astype(np.float32), "score": score}).write_parquet(path)


def comparison(folder: Path, results: dict[str, Result], of: Grid | None = None) -> Comparison:
    return Comparison(folder, of or grid(), results, split="test")


def cells() -> dict[str, list[Cell]]:
    return {entry.variant: entry.cells([1, 2]) for entry in grid().entries}


def finished_comparison(folder: Path, *, hash_auc: float = 0.7, noise: float = 1.0) -> Comparison:
    """Return two seeds of each scheme; `noise` is that of the scores of hash."""
    results: dict[str, Result] = {}
    aucs = {"full": 0.75, "hash": hash_auc, "hash/per_feature": 0.65, "qr": 0.0}
    for variant, both in cells().items():
        for cell in both:
            results[cell.name] = result(cell, auc=aucs[variant] + 0.0002 * (cell.seed - 1))
            write_predictions(folder, cell, noise if variant == "hash" else 1.0)
    return comparison(folder, results)
