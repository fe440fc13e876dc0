import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from recsys.embeddings import Batch
from recsys.ranks import rank_slice
from recsys.training.scoring import ScoreCollector, Scores, score

LABELS = np.array([[0, 1], [1, 0], [0, 0], [1, 1]], np.float32)
PROBABILITIES = np.array([[0.1, 0.9], [0.4, 0.2], [0.6, 0.1], [0.8, 0.7]])


def test_tasks_have_their_own_metrics_and_a_mean() -> None:
    metrics = Scores(PROBABILITIES, LABELS, None, None).metrics(["click", "buy"])
    assert (metrics["click.auc"], metrics["buy.auc"], metrics["auc"]) == (0.75, 1.0, 0.875)


def test_a_mean_over_tasks_is_of_what_all_have() -> None:
    """Every task has an interval, or one of them has one class and so neither AUC nor interval."""
    both = Scores(PROBABILITIES, LABELS, None, None).metrics(["click", "buy"])
    assert {"click.auc_low", "buy.auc_high", "auc_low"} <= both.keys()
    labels = LABELS.copy()
    labels[:, 1] = 1
    lone = Scores(PROBABILITIES, labels, None, None).metrics(["click", "buy"])
    assert (lone["click.auc"], lone["click.auc_low"]) == (both["click.auc"], both["click.auc_low"])
    assert lone["logloss"] == (lone["click.logloss"] + lone["buy.logloss"]) / 2
    assert [math.isnan(lone[name]) for name in ("buy.auc", "auc", "buy.logloss")] == [True, True, False]
    assert not [name for name in lone if name in ("auc_low", "auc_high")]


def test_the_interval_of_a_mean_knows_what_tasks_have_in_common() -> None:
    twice = Scores(PROBABILITIES[:, [0, 0]], LABELS[:, [0, 0]], None, None).metrics(["click", "again"])
    assert twice["logloss_low"] == pytest.approx(twice["click.logloss_low"])
    both = Scores(PROBABILITIES, LABELS, None, None).metrics(["click", "buy"])
    assert both["logloss"] - both["logloss_low"] < both["click.logloss"] - both["click.logloss_low"]


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


def batch_of(rows: Tensor, batch_rows: int) -> Batch:
    """Return a batch of which only labels, the numbers of its rows, count."""
    nothing = {"ids": {}, "lengths": {}, "pooled": None, "unpooled": None, "penalties": {}, "weights": None}
    column = rows.float().unsqueeze(1)
    return Batch(numbers=column, labels=column, groups=None, num_rows=len(rows), batch_rows=batch_rows, **nothing)


@pytest.mark.parametrize("sizes", [[8], [8, 8, 3], [5, 1, 7]])
@pytest.mark.parametrize("num_ranks", [1, 2, 3])
def test_rows_of_all_ranks_are_put_in_the_order_of_the_split(
    sizes: list[int], num_ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    collectors = [ScoreCollector(nn.Identity()) for _ in range(num_ranks)]
    of_ranks: list[list[Tensor]] = [[] for _ in collectors]
    for first, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        for rank, collector in enumerate(collectors):
            batch = batch_of(torch.arange(first, first + size)[rank_slice(size, rank, num_ranks)], size)
            collector.add(batch, batch.labels)
            of_ranks[rank].append(batch.labels)
    gathered = [torch.cat(parts) for parts in of_ranks]
    monkeypatch.setattr("recsys.training.scoring.gather_rows_to_rank_zero", lambda _: gathered)
    scores = collectors[0].finish()
    assert scores is not None
    assert scores.labels[:, 0].tolist() == scores.probabilities[:, 0].tolist() == list(range(sum(sizes)))


class Model(nn.Module):
    """Scores are the numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, batch: Batch) -> SimpleNamespace:
        assert not self.training
        return SimpleNamespace(logits=batch.numbers * self.weight)


@pytest.mark.parametrize("is_training", [True, False])
def test_scoring_leaves_the_mode_of_a_model_as_it_was(is_training: bool) -> None:
    model = Model().train(is_training)
    found = score(model, [batch_of(torch.arange(3), 3)], link=nn.Identity())
    assert found is not None
    assert found.probabilities[:, 0].tolist() == [0.0, 1.0, 2.0]
    assert model.training is is_training
