from pathlib import Path

import pytest
import torch

from recsys.data.prepare import prepare
from recsys.data.reader import Reader
from recsys.embeddings import Batch
from recsys.training.build import build
from recsys.training.strategy import table_weights
from recsys.training.task import CtrTask
from tests.training.logs import make_config


@pytest.mark.parametrize("optimizer", ["rowwise_adagrad", "adagrad", "sgd"])
def test_the_tables_kernel_takes_up_a_new_learning_rate_at_once(optimizer: str, log: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path, train={"sparse_optimizer": {"name": optimizer, "lr": 0.5}})
    prepared = prepare(config, log, log / "cache")
    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    task = CtrTask(built.model, config.train, ["label"])
    train = prepared.splits["train"]
    batches = iter(Reader[Batch](train, built.resolved, batch_size=128, collate=built.layout.collate, seed=1))

    def moved() -> list[bool]:
        before = {name: table.clone() for name, table in table_weights(built.model).items()}
        task.train_on(next(batches))
        return [not torch.equal(table, before[name]) for name, table in table_weights(built.model).items()]

    assert moved() == [True, True]
    task.multiply_learning_rates(1e-20)
    assert moved() == [False, False]
    assert task.optimizer.param_groups[0]["lr"] == pytest.approx(1e-22)
