"""Seconds for exact AUC and GAUC of many rows, beside scikit-learn's AUC.

Run: python tests/benchmarks/bench_auc.py [rows, 10 million when not given]
"""

import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np
from sklearn.metrics import roc_auc_score

from recsys.evaluation import auc, auc_difference, auc_interval, evaluate, gauc


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Return the least of some runs."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)


def main(rows: int = 10_000_000) -> None:
    """Print one line for each metric."""
    rng = np.random.default_rng(0)
    logit = rng.normal(-3, 1, rows)
    score64 = 1 / (1 + np.exp(-logit))
    label, score32 = rng.random(rows) < score64, score64.astype(np.float32)
    other, weight = score64 + 0.01 * rng.random(rows), rng.random(rows)
    user = rng.integers(0, rows // 20, rows)
    key = rng.integers(-(2**63), 2**63 - 1, rows // 20)[user]
    reference = seconds(lambda: roc_auc_score(label, score32), 1)
    print(f"{rows:,} rows, {label.sum():,} positives, {rows // 20:,} groups")
    print(f"{'sklearn roc_auc_score, float32':44}{reference:7.2f} s")
    cases: dict[str, Callable[[], object]] = {
        "auc, float32": lambda: auc(score32, label),
        "auc, float64": lambda: auc(score64, label),
        "auc, float32, weighted": lambda: auc(score32, label, weight),
        "gauc, float32, small group ids": lambda: gauc(score32, label, user),
        "gauc, float32, 64-bit group keys": lambda: gauc(score32, label, key),
        "gauc, float64, small group ids": lambda: gauc(score64, label, user),
        "gauc, float32, weighted": lambda: gauc(score32, label, user, weight),
        "auc_interval, float32": lambda: auc_interval(score32, label),
        "auc_difference, float64": lambda: auc_difference(score64, other, label),
        "evaluate, float32 with groups": lambda: evaluate(score32, label, group=user),
    }
    for name, call in cases.items():
        took = seconds(call)
        print(f"{name:44}{took:7.2f} s{reference / took:8.1f} x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
