import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.training.scoring import Scores

LABELS = np.array([[0, 1], [1, 0], [0, 0], [1, 1]], np.float32)
PROBABILITIES = np.array([[0.1, 0.9], [0.4, 0.2], [0.6, 0.1], [0.8, 0.7]])


def test_tasks_have_their_own_metrics_and_a_mean() -> None:
    metrics = Scores(PROBABILITIES, LABELS, None, None).metrics(["click", "buy"])
    assert (metrics["click.auc"], metrics["buy.auc"], metrics["auc"]) == (0.75, 1.0, 0.875)


def test_a_mean_over_tasks_is_of_what_all_have_and_has_no_interval() -> None:
    """Every task has an interval, or one of them has one class and so neither AUC nor interval."""
    both = Scores(PROBABILITIES, LABELS, None, None).metrics(["click", "buy"])
    assert {"click.auc_low", "buy.auc_high"} <= both.keys()
    labels = LABELS.copy()
    labels[:, 1] = 1
    lone = Scores(PROBABILITIES, labels, None, None).metrics(["click", "buy"])
    assert (lone["click.auc"], lone["click.auc_low"]) == (both["click.auc"], both["click.auc_low"])
    assert lone["logloss"] == (lone["click.logloss"] + lone["buy.logloss"]) / 2
    assert [math.isnan(lone[name]) for name in ("buy.auc", "auc", "buy.logloss")] == [True, True, False]
    assert not [name for name in (*both, *lone) if name in ("auc_low", "auc_high")]


def test_one_task_needs_no_name() -> None:
    metrics = Scores(PROBABILITIES[:, :1], LABELS[:, :1], None, np.array([1, 1, 2, 2])).metrics(["click"])
    assert (metrics["auc"], metrics["gauc"], metrics["rows"]) == (0.75, 1.0, 4.0)
    assert not [name for name in metrics if name.startswith("click")]


def test_weights_count() -> None:
    weights = np.array([1, 1, 0, 1], np.float32)  # without the third row the order is right
    assert Scores(PROBABILITIES[:, :1], LABELS[:, :1], weights, None).metrics(["click"])["auc"] == 1.0


@pytest.mark.parametrize(("tasks", "suffixes"), [(["click"], [""]), (["click", "buy"], [".click", ".buy"])])
def test_the_file_has_label_score_weight_and_group(tasks: list[str], suffixes: list[str], tmp_path: Path) -> None:
    count = len(tasks)
    scores = Scores(PROBABILITIES[:, :count], LABELS[:, :count], np.ones(4, np.float32), np.array([7, 7, 8, 8]))
    scores.write(tmp_path / "new" / "test.parquet", tasks)
    rows = pl.read_parquet(tmp_path / "new" / "test.parquet")
    by_task = [f"{name}{suffix}" for suffix in suffixes for name in ("label", "score")]
    assert rows.columns == [*by_task, "weight", "group"]
    assert rows[f"score{suffixes[-1]}"].to_list() == PROBABILITIES[:, count - 1].tolist()
    assert rows["group"].to_list() == [7, 7, 8, 8]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["test.parquet"]
