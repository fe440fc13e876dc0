"""The kernel beside its plain form: values, gradients and moving averages of an MLP with batch norm."""

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from recsys.kernels import hidden
from recsys.kernels.dice import moments
from recsys.kernels.draws import draw
from recsys.towers.layers import Mlp
from tests.kernels.plain import assert_alike, needs_kernels, without_kernels

pytestmark = [needs_kernels, pytest.mark.usefixtures("kernels")]

SHAPES = [(2, 3), (5, 16), (63, 17), (64, 80), (65, 5), (1000, 36), (3, 200)]  # rows, channels
DROPOUT = [0.0, 0.3]


def drawn(num_rows: int, num_channels: int) -> Tensor:
    """Return rows whose channels have means and deviations of their own."""
    torch.manual_seed(num_rows + num_channels)
    return torch.randn(num_rows, num_channels) * torch.rand(num_channels).add(0.1) + torch.randn(num_channels)


def mlp(width: int, dropout: float) -> Mlp:
    """Return one whose first layer hands on what it is given."""
    torch.manual_seed(width)
    built = Mlp(width, (width,), num_outputs=3, dropout=dropout, batch_norm=True)
    torch.nn.init.eye_(built.layers[0].weight)
    torch.nn.init.uniform_(built.layers[1].weight, -1, 1)
    torch.nn.init.uniform_(built.layers[1].bias, -1, 1)
    return built


def results(rows: Tensor, *, dropout: float = 0.0, training: bool = True) -> list[Tensor]:
    """Return output, gradients and moving averages of a new MLP."""
    built = mlp(rows.shape[1], dropout).train(training)
    given = rows.detach().requires_grad_()
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=rows.dtype == torch.bfloat16):
        output = built(given)
    factors = torch.linspace(-1, 1, output.numel()).view_as(output)
    norm = built.layers[1]
    gradients = torch.autograd.grad((output * factors).sum(), [given, norm.weight, norm.bias, built.layers[-1].weight])
    return [output, *gradients, norm.running_mean, norm.running_var]


@pytest.mark.parametrize("dropout", DROPOUT)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_gradients_and_averages_are_those_of_the_plain_form(shape: tuple[int, int], dropout: float) -> None:
    assert_alike(lambda: results(drawn(*shape), dropout=dropout))


@pytest.mark.parametrize("dropout", DROPOUT)
def test_moving_averages_are_used_and_kept_in_evaluation(dropout: float) -> None:
    assert_alike(lambda: results(drawn(40, 7), dropout=dropout, training=False))
    *_, mean, var = results(drawn(40, 7), dropout=dropout, training=False)
    assert torch.equal(mean, torch.zeros(7))
    assert torch.equal(var, torch.ones(7))


def test_dropout_goes_on_where_batch_norm_alone_is_in_evaluation() -> None:
    """As in a search, whose gates learn on validation batches."""
    rows, built = drawn(50, 6), mlp(6, 0.5)
    built.layers[1].eval()

    def output() -> list[Tensor]:
        torch.manual_seed(1)
        return [built(rows)]

    assert_alike(output)
    assert not torch.equal(output()[0], built.eval()(rows))


def test_the_kernel_is_used_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr("recsys.towers.layers.activate", lambda rows, *_, **__: seen.append(len(rows)) or rows)
    built = Mlp(4, (4, 4), num_outputs=1, dropout=0.5, batch_norm=True)
    for rows in (torch.randn(9, 4), torch.randn(1, 4)):
        built.train()(rows)
        built.eval()(rows)
        with torch.no_grad():
            built.eval()(rows)
    assert seen == [9, 9]


@pytest.mark.parametrize("activation", ["tanh", "prelu", "dice"])
def test_other_activations_have_the_plain_form(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.towers.layers.activate", None)
    Mlp(4, (4,), num_outputs=1, activation=activation, dropout=0.5, batch_norm=True)(torch.randn(9, 4))


def test_gradients_are_those_of_finite_differences() -> None:
    """In double precision, which has the plain form, and beside that in the kernel."""
    rows = drawn(6, 3)
    built = mlp(3, 0.0)
    factors = torch.linspace(-1, 1, 18, dtype=torch.float64).view(6, 3)
    exact = rows.double().requires_grad_()
    built.double()
    assert torch.autograd.gradcheck(lambda given: (built(given) * factors).sum(), exact)
    (wanted,) = torch.autograd.grad((built(exact) * factors).sum(), exact)
    torch.testing.assert_close(results(rows)[1].double(), wanted, rtol=1e-4, atol=1e-5)


def test_a_far_mean_does_not_blur_the_variance() -> None:
    def values() -> list[Tensor]:
        output, *_, mean, var = results(drawn(500, 8) + 1000)  # a gradient jumps where a value is about 0
        return [output, mean, var]

    assert_alike(values, tolerance=1e-3)


def test_rows_may_lie_in_memory_in_any_order() -> None:
    rows = drawn(9, 7)
    weight, bias, (mean, var) = torch.rand(7), torch.rand(7), moments(rows)
    turned = rows.t().contiguous().t()
    assert not turned.is_contiguous()
    got, wanted = (
        hidden.activate(given, mean, var, weight, bias, draws_RC=None, num_dropped=0, eps=1e-5)
        for given in (turned, rows)
    )
    assert torch.equal(got, wanted)


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    rows, ones, found = drawn(3000, 20), torch.ones(20), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            mean, var = moments(rows)
            output = hidden._hidden(rows, mean, var, ones, ones, None, 0, 1e-5)
            found.append([output, *hidden._hidden_backward(rows, output, rows, mean, var, ones, 0, 1e-5)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_bfloat16_is_as_near_to_float32_as_the_plain_form() -> None:
    rows = drawn(700, 40)
    exact = results(rows, dropout=0.3)
    native = results(rows.bfloat16(), dropout=0.3)
    with without_kernels():
        plain = results(rows.bfloat16(), dropout=0.3)
    assert native[0].dtype == torch.bfloat16
    for wanted, got, other in zip(exact, native, plain, strict=True):
        assert (got - wanted).norm() < 1.2 * (other - wanted).norm() + 1e-3


def test_nan_stays_nan_as_the_loop_that_finds_divergence_needs() -> None:
    rows, ones = drawn(70, 3), torch.ones(3)
    rows[5, 1] = torch.nan
    draws = draw(rows.numel()).view(rows.shape)
    output = hidden.activate(rows, *moments(rows), ones, ones, draws_RC=draws, num_dropped=2**15, eps=1e-5)
    assert output[:, 1].isnan().all()
    assert output[:, [0, 2]].isfinite().all()


@pytest.mark.slow
def test_the_operators_keep_the_rules_of_torch() -> None:
    rows, weight, bias = drawn(5, 6).requires_grad_(), torch.ones(6).requires_grad_(), torch.ones(6).requires_grad_()
    draws = draw(30).view(5, 6)
    opcheck(hidden._hidden, (rows, *moments(rows), weight, bias, draws, 2**15, 1e-5))
