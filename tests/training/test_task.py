import math
from pathlib import Path

import pytest
import torch

from recsys.data.prepare import prepare
from recsys.data.reader import Reader
from recsys.embeddings import Batch
from recsys.training.build import build
from recsys.training.strategy import table_weights
from recsys.training.task import CtrTask, weighted_logloss
from tests.training.logs import make_config


def test_without_weights_the_loss_is_the_mean_over_rows_and_tasks() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0]])
    labels = torch.tensor([[1.0, 1.0], [0.0, 0.5]])
    # -log of 1/2, 3/4, 1/4 and 1/2
    expected = (math.log(2) + math.log(4 / 3) + math.log(4) + math.log(2)) / 4
    assert weighted_logloss(logits, labels, None).item() == pytest.approx(expected, rel=1e-6)


def test_with_weights_it_is_the_weighted_mean_over_rows() -> None:
    logits = torch.tensor([[0.0], [math.log(3)], [math.log(3)]])
    labels = torch.tensor([[1.0], [1.0], [0.0]])
    weights = torch.tensor([2.0, 1.0, 0.0])
    expected = (2 * math.log(2) + math.log(4 / 3)) / 3
    assert weighted_logloss(logits, labels, weights).item() == pytest.approx(expected, rel=1e-6)


def test_a_batch_without_any_weight_costs_nothing() -> None:
    logits = torch.tensor([[0.3]], requires_grad=True)
    loss = weighted_logloss(logits, torch.ones(1, 1), torch.zeros(1))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.item() == 0.0


def test_half_precision_logits_lose_nothing_in_the_loss() -> None:
    logits = torch.tensor([[8.0]], dtype=torch.bfloat16)
    loss = weighted_logloss(logits, torch.ones(1, 1), None)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log1p(math.exp(-8)), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["rowwise_adagrad", "adagrad", "sgd"])
def test_the_tables_kernel_takes_up_a_new_learning_rate_at_once(optimizer: str, log: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path, train={"sparse_optimizer": {"name": optimizer, "lr": 0.5}})
    prepared = prepare(config, log, log / "cache", None)
    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    task = CtrTask(built.model, config.train, ["label"])
    train = prepared.splits["train"]
    batches = iter(Reader[Batch](train, built.resolved, batch_size=128, collate=built.layout.collate, seed=1))

    def moved() -> list[bool]:
        before = {name: table.clone() for name, table in table_weights(built.model).items()}
        task.step_on(next(batches))
        return [not torch.equal(table, before[name]) for name, table in table_weights(built.model).items()]

    assert moved() == [True, True]
    task.multiply_learning_rates(1e-20)
    assert moved() == [False, False]
    assert task.optimizer.param_groups[0]["lr"] == pytest.approx(1e-22)
