"""The kernel beside its plain form: values, gradients and moving averages of the layer."""

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from recsys.kernels import dice
from recsys.kernels.tensors import plain_form
from recsys.towers.layers import Dice
from tests.kernels.plain import assert_alike, needs_kernels, without_kernels

pytestmark = [needs_kernels, pytest.mark.usefixtures("kernels")]

SHAPES = [(1, 1), (1, 40), (2, 3), (5, 16), (63, 17), (64, 80), (65, 5), (1000, 36), (3, 200)]  # rows, channels


def layer(channels: int) -> Dice:
    torch.manual_seed(channels)
    built = Dice(channels)
    torch.nn.init.uniform_(built.alpha, -0.5, 0.5)
    built.norm.running_mean.normal_()
    built.norm.running_var.uniform_(0.5, 2)
    return built


def drawn(shape: tuple[int, int]) -> Tensor:
    """Return rows whose channels have means and deviations of their own."""
    torch.manual_seed(sum(shape))
    return torch.randn(shape) * torch.rand(shape[1]).add(0.1) + torch.randn(shape[1])


def results(rows: Tensor, *, training: bool) -> list[Tensor]:
    """Return output, gradients and moving averages of a new layer."""
    built = layer(rows.shape[1]).train(training)
    given = rows.detach().requires_grad_()
    output = built(given)
    factors = torch.linspace(-1, 1, output.numel()).view_as(output)
    gradients = torch.autograd.grad((output * factors).sum(), [given, built.alpha])
    return [output, *gradients, built.norm.running_mean, built.norm.running_var]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_gradients_and_averages_are_those_of_the_plain_form(shape: tuple[int, int], training: bool) -> None:
    assert_alike(lambda: results(drawn(shape), training=training))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_scores_have_the_kernel_unless_the_plain_form_is_asked_for(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    built, rows = layer(shape[1]).eval(), drawn(shape)
    expected = built(rows)
    with torch.no_grad():
        assert torch.equal(built(rows), expected)
        assert_alike(lambda: [built(rows)])
    monkeypatch.setattr("recsys.towers.layers.bend", None)
    with torch.no_grad(), plain_form():
        built(rows)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_finite_differences(training: bool) -> None:
    rows = drawn((6, 3))
    factors = torch.linspace(-1, 1, rows.numel(), dtype=torch.float64).view_as(rows)
    exact = rows.double().requires_grad_()
    built = layer(3).double().train(training)
    assert torch.autograd.gradcheck(lambda given: (built(given) * factors).sum(), exact)
    (wanted,) = torch.autograd.grad((layer(3).double().train(training)(exact) * factors).sum(), exact)
    torch.testing.assert_close(results(rows, training=training)[1].double(), wanted, rtol=1e-4, atol=1e-5)


def test_rows_may_lie_in_memory_in_any_order() -> None:
    turned = drawn((9, 7)).t().contiguous().t()
    assert not turned.is_contiguous()
    assert_alike(lambda: results(turned, training=True))


def test_a_far_mean_does_not_blur_the_variance() -> None:
    assert_alike(lambda: results(drawn((500, 8)) + 1000, training=True), tolerance=1e-3)


def test_gates_that_are_wide_open_or_closed_are_finite() -> None:
    rows = torch.tensor([[-1e30], [-200.0], [200.0], [1e30]])
    built = layer(1).eval()
    assert built(rows).isfinite().all()
    assert_alike(lambda: [built(rows)])


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    rows, found = drawn((3000, 20)), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(dice._dice_backward(rows, rows, torch.zeros(20), *dice.moments(rows), True, 1e-8))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_bfloat16_is_as_near_to_float32_as_the_plain_form() -> None:
    rows = drawn((700, 40))
    exact = results(rows, training=True)
    native = results(rows.bfloat16(), training=True)
    with without_kernels():
        plain = results(rows.bfloat16(), training=True)
    assert native[0].dtype == torch.bfloat16
    for wanted, got, other in zip(exact, native, plain, strict=True):
        assert (got - wanted).norm() < 1.2 * (other - wanted).norm() + 1e-3


def test_nan_stays_nan_as_the_loop_that_finds_divergence_needs() -> None:
    rows = drawn((70, 3))
    rows[5, 1] = torch.nan
    output, gradient, *_ = results(rows, training=True)
    assert output[:, 1].isnan().all()
    assert gradient[:, 1].isnan().all()
    assert output[:, [0, 2]].isfinite().all()


@pytest.mark.slow
def test_the_operators_keep_the_rules_of_torch() -> None:
    rows, alpha = drawn((5, 6)).requires_grad_(), torch.zeros(6, requires_grad=True)
    opcheck(dice._moments, (rows.detach(),))
    opcheck(dice._dice, (rows, alpha, *dice.moments(rows), True, 1e-8))
