"""Seconds and peak memory of all figures with their intervals of a file of scores, and the share of each metric.

Run: python tests/benchmarks/bench_evaluate.py [rows, 10 million when not given] [folder for the file]

The limits for 10 million rows are one minute and 4 GiB.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import polars as pl

CHILD = """
import sys
from recsys.evaluation import evaluate_tasks, read_predictions
predictions = read_predictions(sys.argv[1])
for one in predictions.values():
    one.require_probabilities()
print(len(evaluate_tasks(predictions, names=sys.argv[2].split(",") if sys.argv[2] else None)), "figures")
"""
KINDS = {"plain": ["label", "score"], "grouped": ["label", "score", "group"]}
METRICS = (
    "auc",
    "logloss",
    "ne",
    "calibration",
    "gauc",
    "average_precision",
    "brier_score",
    "ece",
    "ndcg_10",
    "recall_10",
)


def write(path: Path, rows: int) -> None:
    """Write scores as those of a run: float64, of which few are tied, 64-bit keys of users, weights."""
    rng = np.random.default_rng(0)
    score = 1 / (1 + np.exp(-rng.normal(-3, 1, rows)))
    key = rng.integers(-(2**63), 2**63 - 1, rows // 20)
    columns = {
        "label": (rng.random(rows) < score).astype(np.float32),
        "score": score,
        "group": key[rng.integers(0, len(key), rows)],
        "weight": rng.random(rows).astype(np.float32),
    }
    pl.DataFrame(columns).write_parquet(path)


class Used(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_seconds: float
    gib: float

    def __str__(self) -> str:
        return f"{self.seconds:8.1f} s{self.cpu_seconds:8.1f} s of CPU{self.gib:8.2f} GiB at most"


def measure(path: Path, names: str = "") -> Used:
    """Evaluate a file in a process of its own."""
    start = perf_counter()
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(path), names], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return Used(perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20)


def main(rows: int = 10_000_000, folder: str | None = None) -> None:
    """Print a line for each kind of file, and for each metric."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        everything = Path(scratch) / "scores.parquet"
        write(everything, rows)
        print(f"{rows:,} rows, {rows // 20:,} groups")
        for kind, columns in {**KINDS, "grouped and weighted": [*KINDS["grouped"], "weight"]}.items():
            path = Path(scratch) / f"{kind.replace(' ', '_')}.parquet"
            pl.scan_parquet(everything).select(columns).sink_parquet(path)
            print(f"{kind:24}{measure(path)}", flush=True)
        for name in METRICS:
            print(f"  {name:22}{measure(everything, name)}, weighted", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
