import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from recsys.config import DenseOptimizer
from recsys.data.prepare import prepare
from recsys.data.reader import Reader
from recsys.embeddings import Batch
from recsys.training.build import build, read_split, score_split
from recsys.training.strategy import table_weights
from recsys.training.task import _DENSE, CtrTask, dense_optimizer
from tests.training.logs import clicks, make_config


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


@pytest.mark.parametrize("optimizer", ["rowwise_adagrad", "adagrad", "sgd"])
def test_all_learning_rates_are_scaled_from_those_of_the_configuration(
    optimizer: str, log: Path, tmp_path: Path
) -> None:
    tables = {"users": {"features": ["user"], "scheme": "alpt", "scale_lr": 0.001}}
    config = make_config(tmp_path, tables=tables, train={"sparse_optimizer": {"name": optimizer, "lr": 0.5}})
    prepared = prepare(config, log, log / "cache")
    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    task = CtrTask(built.model, config.train, ["label"])
    buffers = [rate for scheme in built.layout.schemes.values() for rate in scheme.lr_buffers()]
    firsts = [rate.item() for rate in buffers]
    assert len(buffers) == 2
    train = prepared.splits["train"]
    batches = iter(Reader[Batch](train, built.resolved, batch_size=128, collate=built.layout.collate, seed=1))

    def moved() -> list[bool]:
        weights = table_weights(built.model) | dict(built.model.module.tower.named_parameters())
        before = {name: weight.detach().clone() for name, weight in weights.items()}
        task.train_on(next(batches))
        return [not torch.allclose(weight, before[name], rtol=0, atol=1e-15) for name, weight in weights.items()]

    for factor in (1e-20, 0.25):
        task.scale_learning_rates(factor)
        assert set(moved()) == {factor == 0.25}
        assert task.optimizer.param_groups[0]["lr"] == pytest.approx(factor * 0.01)
        assert task.table_learning_rates() == pytest.approx([factor * 0.5])
        assert [rate.item() for rate in buffers] == pytest.approx([factor * first for first in firsts])


def test_a_light_row_alone_in_a_batch_moves_little_and_counts_little(log: Path, tmp_path: Path) -> None:
    """Not as a whole batch would: the loss is relative to the mean weight of the training rows."""
    config = make_config(tmp_path, weight="weight", train={"batch_size": 1})
    prepared = prepare(config, log, log / "cache")
    mean = prepared.splits["train"].mean_weight
    assert mean == pytest.approx(clicks(1600, seed=0)["weight"].cast(pl.Float32).mean())
    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    task = CtrTask(built.model, config.train, ["label"], mean_weight=mean)
    batch = next(iter(read_split(built, prepared.splits["train"], batch_size=1)))
    leaf = torch.ones((), requires_grad=True)
    built.layout.schemes["user"].combine = _scaled(built.layout.schemes["user"].combine, leaf)  # type: ignore[method-assign]
    built.model.eval()
    (full,) = task.gradients(replace(batch, weights=torch.tensor([mean])), [leaf])
    (light,) = task.gradients(replace(batch, weights=torch.tensor([1e-6 * mean])), [leaf])
    torch.testing.assert_close(light, 1e-6 * full)


def test_the_training_loss_of_an_epoch_is_averaged_by_weight(log: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path, weight="weight", model={"tower": "mlp", "dim": 8, "mlp": [16]})
    prepared = prepare(config, log, log / "cache")
    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    split = prepared.splits["train"]
    task = CtrTask(built.model, config.train, ["label"], mean_weight=split.mean_weight)
    task.multiply_learning_rates(1e-30)  # so that each row has the loss it has at the end
    reader = read_split(built, split, batch_size=100)
    task.start_epoch(iter(reader))
    for _ in range(16):
        task.train_step()
    task.pipeline.end()
    scores = score_split(built, split)
    assert scores is not None
    assert task.mean_loss() == pytest.approx(scores.metrics(["label"])["logloss"], rel=1e-5)


def _scaled(combine: Any, leaf: torch.Tensor) -> Any:
    return lambda *given: combine(*given) * leaf


def test_gradients_on_another_batch_change_nothing(log: Path, tmp_path: Path) -> None:
    """No row, no dense parameter or its gradient, and no statistic of batch normalization."""
    config = make_config(tmp_path, model={"tower": "mlp", "dim": 8, "mlp": [16], "batch_norm": True})
    prepared = prepare(config, log, log / "cache")
    loaded = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    task = CtrTask(loaded.model, config.train, ["label"])
    batches = iter(read_split(loaded, prepared.splits["train"], batch_size=128))
    task.train_on(next(batches))
    model = loaded.model.module
    before = {
        name: value.clone() for name, value in loaded.model.state_dict().items() if not hasattr(value, "metadata")
    }
    before |= {name: table.clone() for name, table in table_weights(loaded.model).items()}
    gradients = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    leaf = torch.ones((), requires_grad=True)
    combine = loaded.layout.schemes["user"].combine
    loaded.layout.schemes["user"].combine = _scaled(combine, leaf)  # type: ignore[method-assign]
    (found,) = task.gradients(next(batches), [leaf])
    assert found.shape == ()
    assert found != 0
    after = loaded.model.state_dict() | table_weights(loaded.model)
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    for name, gradient in gradients.items():
        assert torch.equal(model.get_parameter(name).grad, gradient), name


def trained_layer(optimizer: torch.optim.Optimizer, layer: torch.nn.Module, *, steps: int) -> list[torch.Tensor]:
    """Train a layer on random gradients and return copies of its parameters."""
    draw = torch.Generator().manual_seed(steps)
    for _ in range(steps):
        for parameter in layer.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=draw)
        optimizer.step()
    return [parameter.detach().clone() for parameter in layer.parameters()]


def layer_and_optimizer(name: str, *, device: str = "cpu", is_fused: bool = True) -> tuple[Any, Any]:
    torch.manual_seed(0)
    layer = torch.nn.Linear(30, 20, device=device)
    config = DenseOptimizer.model_validate({"name": name, "lr": 0.01, "weight_decay": 1e-4})
    if is_fused:
        return layer, dense_optimizer(layer, config)
    return layer, _DENSE[name](layer.parameters(), lr=config.lr, weight_decay=config.weight_decay)


@pytest.mark.parametrize("name", _DENSE)
def test_fused_steps_of_a_cpu_are_those_of_torch(name: str) -> None:
    (fused, of_fused), (plain, of_plain) = (layer_and_optimizer(name, is_fused=is_fused) for is_fused in (True, False))
    assert of_fused.param_groups[0]["fused"] is True
    torch.testing.assert_close(trained_layer(of_fused, fused, steps=20), trained_layer(of_plain, plain, steps=20))


@pytest.mark.parametrize("name", _DENSE)
def test_a_run_that_began_without_fused_steps_goes_on_to_the_last_bit(name: str) -> None:
    plain, of_plain = layer_and_optimizer(name, is_fused=False)
    trained_layer(of_plain, plain, steps=3)
    resumed, of_resumed = layer_and_optimizer(name)
    resumed.load_state_dict(plain.state_dict())
    of_resumed.load_state_dict(copy.deepcopy(of_plain.state_dict()))
    expected = trained_layer(of_plain, plain, steps=5)
    assert all(map(torch.equal, trained_layer(of_resumed, resumed, steps=5), expected))


@pytest.mark.parametrize("name", _DENSE)
def test_on_another_device_steps_are_not_fused_even_if_the_run_began_on_a_cpu(name: str) -> None:
    _, of_cpu = layer_and_optimizer(name)
    _, of_other = layer_and_optimizer(name, device="meta")
    assert not of_other.param_groups[0]["fused"]
    of_other.load_state_dict(of_cpu.state_dict())
    assert not of_other.param_groups[0]["fused"]
