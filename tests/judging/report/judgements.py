"""Runs that nobody trained: predictions, slices and importance made up for the tests of the page."""

from typing import Any

import numpy as np
import polars as pl

from recsys.evaluation.predictions import Predictions
from recsys.evaluation.seeds import Estimate
from recsys.evaluation.summary import evaluate
from recsys.evaluation.verdict import verdict
from recsys.judging.report import Compared, Judged

ROWS = 2000
HOSTILE = "<script>alert('&\"')</script>$\\frac"
"""A value that is markup, code and mathematics at once."""


def predictions(noise: float = 1.0, *, rows: int = ROWS, weighted: bool = False) -> Predictions:
    """Return scores of which those with less noise are better; the labels are the same for all."""
    logit = np.random.default_rng(0).normal(-2, 1.3, rows)
    label = np.random.default_rng(1).random(rows) < 1 / (1 + np.exp(-logit))
    score = 1 / (1 + np.exp(-logit - np.random.default_rng(2).normal(0, noise, rows)))
    weight = np.random.default_rng(3).uniform(0.5, 2, rows) if weighted else None
    return Predictions(label=label, score=score, weight=weight, group=None, source="made up")


def judged(name: str = "runs/a", noise: float = 1.0, **changes: Any) -> Judged:
    found = predictions(noise)
    epochs = [
        {"epoch": e, "train.loss": 0.5 / e, "valid.auc": 0.7 + 0.01 * e, "valid.ne": 0.9} for e in (1.0, 2.0, 3.0)
    ]
    facts: dict[str, Any] = {
        "name": name,
        "predictions": {"": found},
        "metrics": evaluate(found.score, found.label),
        "epochs": epochs,
        "slices": slices(20),
        "importance": importance(),
        "about": "test split",
        "settings": {"Configuration": {"train.lr": noise, "model.tower": "mlp"}},
    }
    return Judged(**(facts | changes))


def slices(number: int, *, value: str = "value") -> pl.DataFrame:
    lines = [
        {"column": "country", "slice": f"{value} {i}", "rows": 100 + i, "positives": 10, "logloss": 0.3}
        | {"auc": 0.6 + 0.01 * i, "auc_low": 0.55 + 0.01 * i, "auc_high": 0.65 + 0.01 * i, "auc_difference": None}
        | {"calibration": 1.2, "calibration_low": 1.1, "calibration_high": 1.3}
        for i in range(number)
    ]
    return pl.DataFrame(lines)


def differences() -> pl.DataFrame:
    line = {"column": "country", "slice": "de", "rows": 100, "positives": 10, "auc": 0.02, "auc_low": 0.01}
    return pl.DataFrame([line | {"auc_high": 0.03, "auc_verdict": "better"}])


def importance(feature: str = "item") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "feature": [feature, "noise"],
            "auc_loss": [0.05, 0.0],
            "auc_loss_low": [0.04, -0.001],
            "auc_loss_high": [0.06, 0.001],
            "is_nothing": [False, True],
        }
    )


def compared(value: float = 0.01, *, first: str = "runs/a", second: str = "runs/b") -> Compared:
    difference = Estimate(value, 0.002**2)
    return Compared(first, second, [verdict("auc", difference, rows=ROWS), verdict("logloss", difference, rows=ROWS)])
