import pytest
import torch

from recsys.config.towers.autoint import AutoIntModel
from recsys.config.towers.din import DinModel
from recsys.config.towers.mlp import MlpModel
from recsys.towers.layers import (
    BatchNorm,
    Dice,
    Dropout,
    FieldMatrix,
    Mlp,
    NumberEmbedding,
    mlp_of,
    segment_expand,
    segment_softmax,
    segment_sum,
)

LENGTHS = torch.tensor([2, 0, 3, 0], dtype=torch.int32)


def test_a_segment_sum_adds_up_rows_and_gives_zeros_for_an_empty_segment() -> None:
    entries = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0], [5.0, 50.0]])
    assert segment_sum(entries, LENGTHS).tolist() == [[3.0, 30.0], [0.0, 0.0], [12.0, 120.0], [0.0, 0.0]]


def test_a_segment_sum_has_the_gradient_of_a_sum() -> None:
    entries = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e: segment_sum(e, LENGTHS), entries)


def test_no_entries_at_all_give_zeros() -> None:
    assert segment_sum(torch.empty(0, 3), torch.tensor([0, 0])).tolist() == [[0.0] * 3] * 2
    assert segment_softmax(torch.empty(0), torch.tensor([0, 0])).tolist() == []


def test_a_row_is_repeated_for_each_entry_of_its_segment() -> None:
    rows = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    assert segment_expand(rows, LENGTHS, 5).flatten().tolist() == [1.0, 1.0, 3.0, 3.0, 3.0]


def test_a_segment_softmax_is_the_softmax_of_each_segment() -> None:
    scores = torch.tensor([0.3, -1.0, 2.0, 0.0, 5.0], dtype=torch.float64, requires_grad=True)
    expected = torch.cat([scores[:2].softmax(0), scores[2:].softmax(0)])
    torch.testing.assert_close(segment_softmax(scores, LENGTHS), expected)
    assert torch.autograd.gradcheck(lambda s: segment_softmax(s, LENGTHS), scores)


def test_a_segment_softmax_does_not_overflow_and_is_float32_at_least() -> None:
    weights = segment_softmax(torch.tensor([1e4, -1e4, -1e4, -1e4, -1e4]).bfloat16(), LENGTHS)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.0, 1 / 3, 1 / 3, 1 / 3]))


@pytest.mark.filterwarnings("ignore:`torch.jit.*` is (deprecated|not supported):DeprecationWarning")
@pytest.mark.parametrize("function", [segment_sum, segment_softmax])
def test_segment_functions_can_be_scripted(function: object) -> None:
    scores = torch.randn(5)
    assert torch.equal(torch.jit.script(function)(scores, LENGTHS), function(scores, LENGTHS))


def test_batch_norm_is_that_of_torch_while_there_are_two_rows() -> None:
    ours, theirs = BatchNorm(3), torch.nn.BatchNorm1d(3)
    for _ in range(3):
        rows = torch.randn(7, 3) * 2 + 1
        torch.testing.assert_close(ours(rows), theirs(rows))
    rows = torch.randn(7, 3)
    torch.testing.assert_close(ours.eval()(rows), theirs.eval()(rows))


@pytest.mark.parametrize("num_rows", [0, 1])
def test_batch_norm_uses_its_averages_for_less_than_two_rows_and_leaves_them_alone(num_rows: int) -> None:
    norm = BatchNorm(2)
    norm(torch.randn(8, 2))
    averages = norm.running_mean.clone(), norm.running_var.clone()
    rows = torch.randn(num_rows, 2)
    torch.testing.assert_close(norm(rows), (rows - averages[0]) / torch.sqrt(averages[1] + 1e-5))
    assert torch.equal(norm.running_mean, averages[0])
    assert torch.equal(norm.running_var, averages[1])


def set_moments(dice: Dice, *, mean: float, var: float, alpha: float) -> Dice:
    dice.norm.running_mean.fill_(mean)
    dice.norm.running_var.fill_(var)
    torch.nn.init.constant_(dice.alpha, alpha)
    return dice


def test_dice_learns_one_number_for_each_channel() -> None:
    assert [parameter.shape for parameter in Dice(4).parameters()] == [(4,)]


def test_dice_with_alpha_one_is_the_identity_to_the_last_bit() -> None:
    rows = torch.randn(50, 4)
    dice = set_moments(Dice(4), mean=0, var=1, alpha=1)
    assert torch.equal(dice(rows), rows)
    assert torch.equal(dice.eval()(rows), rows)


def test_dice_with_standard_moments_and_alpha_zero_is_x_times_its_sigmoid() -> None:
    rows = torch.randn(50, 4)
    dice = set_moments(Dice(4), mean=0, var=1, alpha=0).eval()
    torch.testing.assert_close(dice(rows), rows * torch.sigmoid(rows))


def test_dice_without_variance_is_prelu() -> None:
    rows = torch.tensor([[-2.0], [-0.1], [0.1], [2.0]])
    dice = set_moments(Dice(1), mean=0, var=0, alpha=0.25).eval()
    torch.testing.assert_close(dice(rows), torch.tensor([[-0.5], [-0.025], [0.1], [2.0]]))


def test_dice_depends_on_the_batch_in_training_only() -> None:
    rows = torch.randn(100, 4)
    dice = Dice(4)
    assert not torch.allclose(dice(rows)[:50], dice(rows[:50]))
    dice.eval()
    torch.testing.assert_close(dice(rows)[7:8], dice(rows[7:8]))


def test_dice_halves_a_constant_batch() -> None:
    dice = set_moments(Dice(2), mean=0, var=1, alpha=0.5)
    rows = torch.tensor([[3.0, -4.0]]).repeat(8, 1)
    torch.testing.assert_close(dice(rows), (1 + 0.5) / 2 * rows)


def test_the_gradient_of_dice_passes_through_the_statistics() -> None:
    dice = set_moments(Dice(3), mean=0, var=1, alpha=0.3).double()
    rows = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda rows, _: dice(rows), (rows, dice.alpha))


def test_the_gradient_of_alpha_is_what_the_gate_holds_back() -> None:
    dice = set_moments(Dice(3), mean=0.5, var=2, alpha=0.3).eval()
    rows = torch.randn(8, 3)
    dice(rows).sum().backward()
    gate = torch.sigmoid((rows - 0.5) / 2**0.5)
    torch.testing.assert_close(dice.alpha.grad, ((1 - gate) * rows).sum(0))


def test_the_gate_of_dice_does_not_see_a_shift_of_the_batch() -> None:
    dice = set_moments(Dice(3), mean=0, var=1, alpha=0)
    rows = torch.randn(8, 3)
    torch.testing.assert_close(dice(rows + 5) / (rows + 5), dice(rows) / rows, rtol=1e-4, atol=1e-5)


def test_a_number_scales_its_vector() -> None:
    embedding = NumberEmbedding(3, 4)
    numbers = torch.tensor([[1.0, 2.0, -3.0]])
    torch.testing.assert_close(embedding(2 * numbers), 2 * embedding(numbers))
    assert torch.equal(embedding(torch.zeros(2, 3)), torch.zeros(2, 3, 4))
    embedding(numbers).sum().backward()
    assert embedding.weight.grad is not None
    assert embedding.weight.grad.tolist() == [[1.0] * 4, [2.0] * 4, [-3.0] * 4]


def test_a_field_matrix_holds_the_fields_and_then_the_numbers() -> None:
    matrix = FieldMatrix(2, 1, 2)
    assert matrix.of_numbers is not None
    torch.nn.init.constant_(matrix.of_numbers.weight, 10)
    rows = matrix(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[0.5]]))
    assert rows.tolist() == [[[1.0, 2.0], [3.0, 4.0], [5.0, 5.0]]]


def test_an_mlp_is_its_layers_one_after_the_other() -> None:
    mlp = Mlp(3, (4,), num_outputs=2, activation="tanh")
    rows = torch.randn(5, 3)
    first, last = (layer for layer in mlp.layers if isinstance(layer, torch.nn.Linear))
    torch.testing.assert_close(mlp(rows), last(torch.tanh(first(rows))))


@pytest.mark.parametrize("model", [AutoIntModel, DinModel, MlpModel])
def test_an_mlp_has_the_layers_that_the_config_asks_for(model: type) -> None:
    name = model.__name__.removesuffix("Model").lower()
    config = model(tower=name, mlp=(8, 4), activation="tanh", dropout=0.3, batch_norm=True)
    first, second = [torch.nn.Linear, BatchNorm, torch.nn.Tanh, Dropout], torch.nn.Linear
    layers = list(mlp_of(config, num_inputs=3, num_outputs=2).layers)
    assert [type(layer) for layer in layers] == [*first, *first, second]
    assert [layer.out_features for layer in layers if isinstance(layer, torch.nn.Linear)] == [8, 4, 2]
    assert layers[3].p == 0.3


@pytest.mark.parametrize("num_rows", [0, 1, 2])
@pytest.mark.parametrize("activation", ["relu", "prelu", "dice", "sigmoid", "tanh"])
def test_an_mlp_with_batch_norm_trains_on_few_rows(num_rows: int, activation: str) -> None:
    mlp = Mlp(3, (4, 4), num_outputs=1, activation=activation, dropout=0.5, batch_norm=True)
    logits = mlp(torch.randn(num_rows, 3))
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in mlp.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.99])
def test_dropout_drops_its_share_and_scales_the_rest_and_the_gradients(rate: float, dtype: torch.dtype) -> None:
    rows = torch.ones(333, 301, dtype=dtype, requires_grad=True)
    dropped = Dropout(rate)(rows)
    dropped.sum().backward()
    assert dropped.dtype == dtype
    spread = (rate * (1 - rate) / rows.numel()) ** 0.5
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=5 * spread + 2**-16)
    scales = dropped[dropped != 0].float()
    torch.testing.assert_close(scales, torch.full_like(scales, 1 / (1 - rate)), rtol=0.005, atol=0)
    assert torch.equal(rows.grad, dropped)


def test_dropped_elements_do_not_depend_on_their_neighbours() -> None:
    kept = (Dropout(0.5)(torch.ones(100_000)) != 0).double()
    for distance in (1, 2, 3, 4, 8):
        share = (kept[distance:] * kept[:-distance]).mean().item()
        assert share == pytest.approx(0.25, abs=0.01)


def test_dropout_is_finite_next_to_the_highest_rate_and_the_same_for_the_same_seed() -> None:
    assert Dropout(1 - 1e-9)(torch.ones(1000)).isfinite().all()
    draws = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        draws.append(Dropout(0.5)(torch.ones(1000)))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_dropout_drops_in_training_only() -> None:
    mlp = Mlp(3, (64,), num_outputs=1, dropout=0.5)
    rows = torch.randn(5, 3)
    assert not torch.equal(mlp(rows), mlp(rows))
    mlp.eval()
    assert torch.equal(mlp(rows), mlp(rows))
