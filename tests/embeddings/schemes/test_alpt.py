"""Integer rows with scales that are learned by a second pass over each batch."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config import DenseOptimizer, SparseOptimizer, TrainSection
from recsys.config.schemes.alpt import AlptTable
from recsys.embeddings import Layout
from recsys.embeddings.scheme import FeatureVocabulary, tensor_bytes
from recsys.embeddings.schemes.alpt import Alpt, LearntStep
from recsys.model import CtrModel
from recsys.testing.tiny_tables import rows
from recsys.towers.layers import BatchNorm
from recsys.training.strategy import shard
from recsys.training.task import CtrTask

NUM_IDS = 10
TABLES = {"all": {"features": ["user", "item", "tags"], "scheme": "alpt", "scale_lr": 0.01}}


def alpt(*, scale_lr: float = 2e-5, optimizer: str = "sgd", lr: float = 0.1, **spec: Any) -> Alpt:
    section = AlptTable(features=("f",), scheme="alpt", scale_lr=scale_lr, **spec)
    scheme = Alpt("t", [FeatureVocabulary("f", NUM_IDS)], 4, section)
    scheme.use_optimizer(SparseOptimizer.model_validate({"name": optimizer, "lr": lr}))
    return scheme


def loss_of(scheme: Alpt, *ids: int) -> Tensor:
    values = scheme.combine([], torch.tensor(ids), 0)
    return (values * torch.arange(1, 5) + values.square()).sum()


def copies(scheme: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in scheme.state_dict().items()}


def whole_step(scheme: Alpt, *ids: int, num_rows: int = 8) -> None:
    loss_of(scheme, *ids).backward()
    leaves = scheme.gradient_leaves()
    scheme.apply_gradients(list(torch.autograd.grad(loss_of(scheme, *ids), leaves)), num_rows)


def test_the_gradient_of_a_scale_below_inside_and_above_the_range() -> None:
    """Gradients of the output are 1, 10, 100 and 1000, so that each value's part can be read off the sum."""
    value_UD = torch.tensor([[-1.5, 0.234, 0.0, 2.0], [-1.28, 1.27, 0.126, -0.004]])
    scale_U1 = torch.full((2, 1), 0.01, requires_grad=True)
    rounded_UD = LearntStep.apply(value_UD, scale_U1, -128, 127)
    torch.testing.assert_close(rounded_UD, torch.tensor([[-1.28, 0.23, 0.0, 1.27], [-1.28, 1.27, 0.13, 0.0]]))
    rounded_UD.backward(torch.tensor([[1.0, 10.0, 100.0, 1000.0]] * 2))
    first = 1 * -128 + 10 * (23 - 23.4) + 100 * 0 + 1000 * 127
    second = 1 * -128 + 10 * 127 + 100 * (13 - 12.6) + 1000 * (0 - -0.4)
    assert scale_U1.grad is not None
    assert scale_U1.grad.flatten().tolist() == pytest.approx([first, second], rel=1e-5)


@pytest.mark.parametrize("value", [-2.0, 2.0])
def test_outside_the_range_the_gradient_is_that_of_finite_differences(value: float) -> None:
    def rounded(scale: float) -> Tensor:
        found: Tensor = LearntStep.apply(torch.full((1, 1), value).double(), one * scale, -128, 127)
        return found

    one = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(rounded(0.01), one)
    measured = (rounded(0.01 + 1e-4) - rounded(0.01 - 1e-4)) / 2e-4
    assert float(found) == pytest.approx(0.01 * float(measured.detach()))


def test_inside_the_range_the_gradient_is_that_of_the_rounding_error() -> None:
    """With codes drawn at random, E[scale * q] is the value whatever the scale: on average over values it is 0."""
    value_UD = torch.empty(100_000, 1, dtype=torch.float64).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    scale_U1 = torch.full((100_000, 1), 0.01, dtype=torch.float64, requires_grad=True)
    LearntStep.apply(value_UD, scale_U1, -128, 127).sum().backward()
    assert scale_U1.grad is not None
    assert float(scale_U1.grad.abs().max()) <= 0.5
    assert abs(float(scale_U1.grad.mean())) < 4 * math.sqrt(1 / 12 / 100_000)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_whole_step_is_that_of_the_formulas(bits: int) -> None:
    torch.manual_seed(0)
    scale, high, lr, scale_lr, num_rows = 0.01, 2 ** (bits - 1) - 1, 0.1, 0.5, 8
    scheme = alpt(bits=bits, scale=scale, lr=lr, scale_lr=scale_lr)
    scheme.codes[3] = torch.tensor([-7, 0, 5, high])
    value = scheme.codes[3] * scale
    gradient = 2 * (torch.arange(1, 5) + 2 * value)  # the row is read twice
    moved = value - lr * gradient
    whole_step(scheme, 3, 3, num_rows=num_rows)
    ratio = moved / scale
    code = ratio.round().clamp(-high - 1, high)
    slope = torch.where((ratio <= -high - 1) | (ratio >= high), code, code - ratio)
    of_scale = (2 * (torch.arange(1, 5) + 2 * scale * code) * slope).sum()
    expected = scale - scale_lr * of_scale / math.sqrt(num_rows * 4 * high)
    assert float(scheme.scales[3]) == pytest.approx(float(expected), rel=1e-5)
    assert float(scheme.scales[3]) != pytest.approx(scale, rel=1e-4)
    drawn = moved / scheme.scales[3]
    assert torch.all((scheme.codes[3] - drawn.clamp(-high - 1, high)).abs() < 1)


def test_codes_are_drawn_with_the_new_scale_of_their_own_row() -> None:
    scheme = alpt(optimizer="sgd", scale_lr=1.0, lr=1e-3)
    scheme.codes.random_(-50, 50)
    before = scheme.codes.clone()
    loss_of(scheme, 7, 1, 4).backward()
    assert scheme._moved is not None
    moved = scheme._moved.values.clone()
    scheme.gradient_leaves()
    wanted = torch.tensor([[0.02], [0.005], [0.03]])  # of rows 1, 4 and 7
    scheme.apply_gradients([(0.01 - wanted) * math.sqrt(8 * 4 * 127)], 8)
    torch.testing.assert_close(scheme.scales[[1, 4, 7]], wanted)
    drawn = (moved / wanted).clamp(-128, 127)
    assert torch.all((scheme.codes[[1, 4, 7]] - drawn).abs() < 1)
    assert float((before[[1, 4, 7]] - drawn).abs().max()) > 10


@pytest.mark.parametrize("optimizer", ["rowwise_adagrad", "adagrad", "sgd", "adam"])
def test_rows_that_are_not_in_the_batch_stay_as_they_are(optimizer: str) -> None:
    torch.manual_seed(0)
    scheme = alpt(optimizer=optimizer, scale_lr=0.001)
    before = copies(scheme)
    whole_step(scheme, 2, 7, 2)
    for name, value in copies(scheme).items():
        if value.dim() and name != "draws":
            changed = (value != before[name]).any(dim=1).nonzero().flatten().tolist()
            assert changed == [2, 7], name


def test_the_scale_is_trained_by_the_optimizer_of_the_rows_at_its_own_rate() -> None:
    scheme = alpt(optimizer="rowwise_adagrad", scale_lr=0.001)
    whole_step(scheme, 4)
    assert float((scheme.scales[4] - 0.01).abs()) == pytest.approx(0.001, rel=1e-3)  # Adagrad's first step
    assert [float(rate) for rate in scheme.lr_buffers()] == [0.1, 0.001]


def test_codes_are_stored_only_when_the_step_is_finished() -> None:
    scheme = alpt()
    codes, scales = scheme.codes.clone(), scheme.scales.clone()
    loss_of(scheme, 1, 2).backward()
    assert torch.equal(scheme.codes, codes)
    with torch.no_grad():
        assert torch.equal(scheme.combine([], torch.tensor([1]), 0), scheme.read(torch.tensor([1])))
    (leaf,) = scheme.gradient_leaves()
    assert leaf.shape == (2, 1)
    scheme.apply_gradients([torch.zeros_like(leaf)], 8)
    assert not torch.equal(scheme.codes, codes)
    assert torch.equal(scheme.scales, scales)
    assert scheme.gradient_leaves() == []


def test_the_second_pass_sees_the_values_after_the_step_and_stored_ones_of_rows_without_a_gradient() -> None:
    scheme = alpt(lr=1.0)
    loss_of(scheme, 2, 5).backward()
    assert scheme._moved is not None
    moved = scheme._moved.values.clone()
    scheme.gradient_leaves()
    values = scheme.combine([], torch.tensor([5, 9, 0, 2]), 0).detach()
    assert (values[[3, 0]] - moved.clamp(-1.28, 1.27)).abs().max() <= 0.00501
    assert torch.equal(values[1:3], scheme.read(torch.tensor([9, 0])))


def test_a_pass_without_a_backward_pass_asks_for_no_second_one() -> None:
    scheme = alpt(optimizer="adagrad")
    before = copies(scheme)
    loss_of(scheme, 1, 2)
    assert scheme.gradient_leaves() == []
    after = copies(scheme)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_step_that_is_not_finished_is_not_lost_in_silence() -> None:
    scheme = alpt()
    loss_of(scheme, 1).backward()
    with pytest.raises(AssertionError, match="t: the step before has not been finished"):
        loss_of(scheme, 1).backward()


def test_a_scale_never_reaches_zero() -> None:
    scheme = alpt(optimizer="adagrad", scale_lr=1.0)
    whole_step(scheme, 1, 2, 3, 4, 5)  # Adagrad's first step: almost 1, up or down
    assert float(scheme.scales.min()) == pytest.approx(1e-8)
    whole_step(scheme, 1, 2, 3, 4, 5)
    assert torch.isfinite(scheme.read(torch.arange(NUM_IDS))).all()


@pytest.mark.parametrize("optimizer", ["rowwise_adagrad", "adam"])
def test_training_goes_on_bit_for_bit_from_saved_state(optimizer: str) -> None:
    first, second = alpt(optimizer=optimizer, scale_lr=0.001), alpt(optimizer=optimizer, scale_lr=0.001)
    for rate in first.lr_buffers():
        rate.mul_(0.3)
    whole_step(first, 1, 1, 7)
    second.load_state_dict(copies(first))
    for scheme in (first, second):
        whole_step(scheme, 7, 0)
        torch.rand(3)  # what others draw does not matter
        whole_step(scheme, 1, 7)
    states = copies(first), copies(second)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_training_needs_no_more_than_serving_but_the_state_of_the_optimizers() -> None:
    for optimizer, state in {"sgd": 0, "rowwise_adagrad": 4 * 20, "adagrad": 4 * 50, "adam": 8 * 50 + 16}.items():
        scheme = alpt(optimizer=optimizer)
        rates, draws = 16, 16
        assert scheme.bytes("training", sparse=optimizer, dense="adam") == tensor_bytes(scheme)
        assert tensor_bytes(scheme) == scheme.serving_bytes() + state + rates + draws
        assert scheme.serving_bytes() == NUM_IDS * (4 + 4)


def make_task(layout: Layout, **train: Any) -> CtrTask:
    section = TrainSection(
        sparse_optimizer=SparseOptimizer(name="adagrad", lr=0.05), dense_optimizer=DenseOptimizer(lr=0.01), **train
    )
    model = shard(CtrModel(layout.resolved, layout), section.sparse_optimizer, device=torch.device("cpu"))
    return CtrTask(model, section, ["label"])


def first_pass(task: CtrTask, batch: Any) -> None:
    task.start_epoch(iter([batch]))
    task.first_pass()


BATCH = rows(user=[0, 9, 9, 3], item=[1, 6, 0, 2], tags=[[], [4], [1, 1, 2], [0]], clicks=[[], [6, 1], [3], [2, 2]])


def test_the_second_pass_leaves_the_dense_part_and_other_tables_alone(make_layout: Callable[..., Layout]) -> None:
    """But for the scales and codes nothing changes: no gradient, no other row, no moving average of batch norm."""
    layout = make_layout({"a": TABLES["all"] | {"features": ["item"]}, "b": {"features": ["user"], "scheme": "int8"}})
    task = make_task(layout)
    task.model.module.tower.register_module("norm", BatchNorm(1))
    forward = task.model.module.tower.forward
    task.model.module.tower.forward = lambda *fed: task.model.module.tower.norm(forward(*fed))
    batch = layout.collate(BATCH)
    first_pass(task, batch)
    schemes = layout.schemes
    assert isinstance(schemes["a"], Alpt)
    gradients = {name: p.grad.clone() for name, p in task.model.module.named_parameters() if p.grad is not None}
    before = {name: value.clone() for name, value in task.model.module.named_buffers()}
    assert float(before["dense_arch.tower.norm.running_mean"]) != 0
    task.second_pass()
    changed = {name for name, value in task.model.module.named_buffers() if not torch.equal(value, before[name])}
    expected = ("codes", "draws", "scales", "scale_optimizer.squares")
    assert changed == {f"dense_arch.schemes.a_table.{name}" for name in expected}
    for name, gradient in gradients.items():
        assert torch.equal(task.model.module.get_parameter(name).grad, gradient)


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_the_second_pass_has_the_precision_of_the_first(make_layout: Callable[..., Layout], precision: str) -> None:
    layout = make_layout(TABLES)
    task = make_task(layout)
    task.model.module.dense_arch.is_mixed = precision != "32"
    seen: list[torch.dtype] = []
    last = next(module for module in reversed(list(task.model.module.tower.modules())) if hasattr(module, "weight"))
    last.register_forward_hook(lambda module, fed, output: seen.append(output.dtype))
    batch = layout.collate(BATCH)
    first_pass(task, batch)
    task.second_pass()
    expected = torch.float32 if precision == "32" else torch.bfloat16
    assert seen == [expected, expected]


def test_learning_rates_of_rows_and_scales_fall_with_the_others(make_layout: Callable[..., Layout]) -> None:
    layout = make_layout(TABLES)
    task = make_task(layout)
    task.multiply_learning_rates(0.5)
    (scheme,) = layout.schemes.values()
    assert [float(rate) for rate in scheme.lr_buffers()] == [0.025, 0.005]
