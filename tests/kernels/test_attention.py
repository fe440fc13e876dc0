"""The kernel beside its plain form: values and gradients of whole layers."""

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from recsys.config.towers.autoint import AutoIntModel
from recsys.kernels import attention
from recsys.kernels.tensors import plain_form, takes
from recsys.towers.autoint import InteractingLayer
from tests.kernels.plain import assert_alike, needs_kernels, without_kernels

pytestmark = [needs_kernels, pytest.mark.usefixtures("kernels")]

SHAPES = [  # examples, rows, width of a row, heads, width of a head
    (1, 1, 1, 1, 1),
    (3, 1, 5, 2, 3),
    (2, 2, 4, 1, 16),
    (7, 10, 8, 2, 32),
    (5, 16, 3, 3, 8),
    (4, 17, 6, 2, 15),
    (3, 33, 5, 1, 40),
    (2, 70, 4, 2, 17),
    (130, 5, 4, 2, 4),
]


def layer(shape: tuple[int, ...], **keys: object) -> tuple[InteractingLayer, Tensor]:
    """Return a layer and what it is given."""
    torch.manual_seed(sum(shape))
    examples, rows, dim, heads, width = shape
    content = {"tower": "autoint", "heads": heads, "attention_dim": heads * width, **keys}
    built = InteractingLayer(dim, AutoIntModel.model_validate(content))
    return built, torch.randn(examples, rows, dim, requires_grad=True)


def results(built: InteractingLayer, rows: Tensor, kept: Tensor | None = None) -> list[Tensor]:
    """Return output and gradients of the layer; what it drops is drawn from the same seed each time."""
    torch.manual_seed(7)
    output = built(rows, kept)
    factors = torch.linspace(-1, 1, output.numel()).view_as(output)
    return [output, *torch.autograd.grad((output * factors).sum(), [rows, *built.parameters()])]


@pytest.mark.parametrize("keys", [{}, {"residual": False, "scale": True}, {"layer_norm": True}], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients_are_those_of_the_plain_form(shape: tuple[int, ...], keys: dict[str, object]) -> None:
    built, rows = layer(shape, **keys)
    assert_alike(lambda: results(built, rows))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_masked_rows_are_not_attended_to_and_an_example_that_keeps_none_attends_to_all(shape: tuple[int, ...]) -> None:
    built, rows = layer(shape)
    kept = torch.rand(rows.shape[:2]) > 0.4
    kept[0] = False
    assert_alike(lambda: results(built, rows, kept))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_same_weights_drop_out_as_in_the_plain_form(shape: tuple[int, ...]) -> None:
    built, rows = layer(shape, attention_dropout=0.4)
    assert_alike(lambda: results(built, rows))


def test_what_drops_out_is_drawn_in_16_bits_with_kernels_and_without() -> None:
    built, rows = layer(SHAPES[3], attention_dropout=0.3)
    with torch.profiler.profile() as profile:
        built(rows)
        with without_kernels():
            built(rows)
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts["aten::random_"] == 2
    assert not any("bernoulli" in key or "dropout" in key for key in counts)


def test_what_drops_out_follows_the_seed_to_the_last_bit() -> None:
    built, rows = layer(SHAPES[3], attention_dropout=0.4)
    first, second = results(built, rows), results(built, rows)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    torch.manual_seed(8)
    assert not torch.equal(built(rows), first[0])


def test_rows_may_lie_in_memory_in_any_order() -> None:
    built, rows = layer((6, 4, 5, 2, 3))
    turned = rows.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    kept = (torch.rand(4, 6) > 0.4).t()
    assert not turned.is_contiguous()
    assert_alike(lambda: results(built, turned, kept))


def test_large_scores_do_not_overflow() -> None:
    built, rows = layer(SHAPES[3])
    with torch.no_grad():
        built.query.weight *= 1e5
    assert all(found.isfinite().all() for found in results(built, rows))
    assert_alike(lambda: [built(rows)])


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    built, rows = layer((300, 7, 5, 2, 9))
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(results(built, rows)[0])
            with torch.no_grad():
                found.append(built(rows))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("is_half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("keys", [{}, {"attention_dropout": 0.4, "residual": False}], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_without_gradients_the_output_is_the_same_and_nothing_else_is_kept(
    shape: tuple[int, ...], keys: dict[str, object], is_half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, rows = layer(shape, **keys)
    kept = torch.rand(rows.shape[:2]) > 0.4
    monkeypatch.setattr(attention, "CACHED_BYTES", 40_000)  # several chunks of the largest ones
    with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
        expected = results(built, rows, kept)[0]
        monkeypatch.setattr(attention, "_attention", None)
        torch.manual_seed(7)
        with torch.no_grad():
            assert torch.equal(built(rows, kept), expected)


def test_the_plain_form_is_there_to_the_last_bit_as_the_golden_rows_of_exported_models_need() -> None:
    built, rows = layer(SHAPES[3])
    with torch.no_grad(), plain_form():
        scores = built(rows)
        with without_kernels():
            assert torch.equal(built(rows), scores)
    assert not torch.equal(built(rows), scores)


def test_bfloat16_of_autocast_is_as_near_to_float32_as_the_plain_form() -> None:
    built, rows = layer(SHAPES[3])
    exact = results(built, rows)
    with torch.autocast("cpu", torch.bfloat16):
        native = results(built, rows)
        with without_kernels():
            plain = results(built, rows)
    assert native[0].dtype == plain[0].dtype == torch.bfloat16
    for wanted, got, other in zip(exact, native, plain, strict=True):
        assert (got - wanted).norm() < 1.2 * (other - wanted).norm() + 1e-3


@pytest.mark.parametrize(
    "rows",
    [
        torch.randn(2, 3, 4, dtype=torch.float64),
        torch.empty(2, 3, 4, device="meta"),
        torch.empty(0, 3, 4),
        torch.randn(2, 3, 4, dtype=torch.float16),
    ],
    ids=["double precision", "another device", "no examples", "float16"],
)
def test_the_plain_form_is_left_what_the_kernel_does_not_take(rows: Tensor) -> None:
    assert not takes(rows)


def test_float16_of_autocast_has_the_plain_form() -> None:
    assert takes(torch.randn(2, 3, 4))
    with torch.autocast("cpu", torch.float16):
        assert not takes(torch.randn(2, 3, 4))


@pytest.mark.slow
def test_the_operators_keep_the_rules_of_torch() -> None:
    rows, weight = torch.randn(3, 5, 7, requires_grad=True), torch.randn(24, 7, requires_grad=True)
    kept, dropout = torch.rand(3, 5) > 0.3, torch.rand(3, 2, 5, 5)
    opcheck(attention._attention, (rows, weight, kept, dropout, 2, 4, 0.5))


@pytest.mark.parametrize("keys", [{}, {"attention_dropout": 0.4, "residual": False}], ids=str)
def test_a_batch_is_the_same_in_one_chunk_and_in_many(keys: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    built, rows = layer((23, 7, 5, 2, 16), **keys)
    kept = torch.rand(rows.shape[:2]) > 0.4
    whole = results(built, rows, kept)
    monkeypatch.setattr(attention, "CACHED_BYTES", 5 * 7 * 4 * 32 * 4)  # 5 examples of 4 parts, 6 of 3
    for found, expected in zip(results(built, rows, kept), whole, strict=True):
        torch.testing.assert_close(found, expected)


def test_projections_and_their_gradients_are_multiplied_while_they_are_in_the_cache() -> None:
    built, rows = layer((2_000, 7, 5, 2, 16))
    with torch.profiler.profile() as profile:
        results(built, rows)
    counts = {event.key: event.count for event in profile.key_averages()}
    num_chunks = -(-2_000 // (attention.CACHED_BYTES // (7 * 4 * 32 * 4) * torch.get_num_threads()))
    assert num_chunks > 1
    assert counts["aten::mm"] == 3 * num_chunks


def test_rows_and_weights_may_need_no_gradient() -> None:
    built, rows = layer(SHAPES[3])
    built.requires_grad_(False)
    assert_alike(lambda: list(torch.autograd.grad(built(rows).sum(), [rows])))
    built.requires_grad_(True)
    rows = rows.detach()
    assert_alike(lambda: list(torch.autograd.grad(built(rows).sum(), list(built.parameters()))))


def test_nan_stays_nan_as_the_loop_that_finds_divergence_needs() -> None:
    built, rows = layer(SHAPES[3])
    with torch.no_grad():
        rows[2, 3, 4] = torch.nan
    found = results(built, rows)
    assert all(gradient.isnan().any() for gradient in found[1:])
    assert found[0][2].isnan().all()
    assert found[0][[0, 1, 3, 4, 5, 6]].isfinite().all()
