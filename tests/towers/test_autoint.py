"""AutoInt: the acceptance checks of its paper are named by their number."""

import copy
import itertools

import pytest
import torch
from torch import Tensor

from recsys.config.towers.autoint import AutoIntModel
from recsys.config.towers.lr import LrModel
from recsys.errors import ConfigError
from recsys.towers import TowerInputs
from recsys.towers.autoint import AutoInt, InteractingLayer
from tests.towers.planted import Embedded, Log, auc, fit


def config(**keys: object) -> AutoIntModel:
    return AutoIntModel.model_validate({"tower": "autoint", "attention_dim": 6, "heads": 2, **keys})


def layer(num_inputs: int = 5, *, seed: int = 0, **keys: object) -> InteractingLayer:
    torch.manual_seed(seed)
    return InteractingLayer(num_inputs, config(**keys))


def tower(*, num_fields: int = 4, dim: int = 8, num_numbers: int = 0, seed: int = 0, **keys: object) -> AutoInt:
    torch.manual_seed(seed)
    inputs = TowerInputs(dims=[dim] * num_fields, num_numbers=num_numbers, behaviours=[], num_tasks=1)
    return AutoInt(inputs, config(**keys)).eval()


NO_NUMBERS = torch.empty(3, 0)


def test_permuting_fields_permutes_the_output_of_a_layer() -> None:
    rows, order = torch.randn(3, 4, 5), [2, 0, 3, 1]
    interacting = layer()
    torch.testing.assert_close(interacting(rows[:, order]), interacting(rows)[:, order])


def test_attention_weights_are_a_distribution() -> None:
    weights = layer().attention(torch.randn(3, 4, 5))
    assert weights.shape == (3, 2, 4, 4)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 4))


def test_a_single_field_attends_to_itself() -> None:
    rows = torch.randn(3, 1, 5)
    interacting = layer()
    assert interacting.residual is not None
    assert torch.equal(interacting.attention(rows), torch.ones(3, 2, 1, 1))
    torch.testing.assert_close(interacting(rows), torch.relu(interacting.value(rows) + interacting.residual(rows)))


def test_without_queries_all_fields_take_the_same_mean() -> None:
    interacting = layer(residual=False)
    torch.nn.init.zeros_(interacting.query.weight)
    rows = torch.randn(3, 4, 5)
    assert torch.equal(interacting.attention(rows), torch.full((3, 2, 4, 4), 0.25))
    mean = torch.relu(interacting.value(rows).mean(1, keepdim=True))
    torch.testing.assert_close(interacting(rows), mean.expand(3, 4, 6))


def test_without_values_the_residual_is_left() -> None:
    interacting = layer(6)
    assert interacting.residual is not None
    torch.nn.init.zeros_(interacting.value.weight)
    torch.nn.init.eye_(interacting.residual.weight)
    rows = torch.randn(3, 4, 6)
    torch.testing.assert_close(interacting(rows), torch.relu(rows))


def test_a_residual_of_zero_is_the_layer_without_residual() -> None:
    with_residual, without = layer(), layer(residual=False)
    assert with_residual.residual is not None
    torch.nn.init.zeros_(with_residual.residual.weight)
    without.load_state_dict(with_residual.state_dict(), strict=False)
    rows = torch.randn(3, 4, 5)
    assert torch.equal(with_residual(rows), without(rows))


def test_a_constant_added_to_all_scores_changes_nothing() -> None:
    interacting, rows = layer(), torch.randn(3, 4, 5)
    before = interacting.attention(rows)
    interacting.key.register_forward_hook(lambda module, arguments, keys: keys + torch.arange(6.0))
    torch.testing.assert_close(interacting.attention(rows), before)


def test_large_scores_do_not_overflow() -> None:
    interacting, rows = layer(), torch.randn(3, 4, 5)
    with torch.no_grad():
        interacting.query.weight *= 1e5
    weights = interacting.attention(rows)
    assert weights.isfinite().all()
    assert weights.max() == 1


def test_scaling_the_scores_is_scaling_the_queries() -> None:
    scaled, plain, rows = layer(scale=True), layer(), torch.randn(3, 4, 5)
    with torch.no_grad():
        plain.query.weight *= 3**-0.5  # two heads share a width of 6
    torch.testing.assert_close(scaled(rows), plain(rows))


def test_heads_are_layers_of_their_own_side_by_side() -> None:
    both, rows = layer(), torch.randn(3, 4, 5)
    halves = []
    for head in range(2):
        own = {name: weight[3 * head : 3 * head + 3] for name, weight in both.state_dict().items()}
        single = layer(heads=1, attention_dim=3)
        single.load_state_dict(own)
        halves.append(single(rows))
    torch.testing.assert_close(both(rows), torch.cat(halves, dim=2), rtol=0, atol=1e-6)


def test_a_single_head_is_the_formula_of_the_paper() -> None:
    interacting, rows = layer(heads=1), torch.randn(3, 4, 5)
    q, k, v, r = (interacting.state_dict()[f"{name}.weight"] for name in ("query", "key", "value", "residual"))
    for b, m in itertools.product(range(3), range(4)):
        scores = torch.stack([(q @ rows[b, m]) @ (k @ rows[b, other]) for other in range(4)])
        weights = scores.exp() / scores.exp().sum()
        mixed = sum(weights[other] * (v @ rows[b, other]) for other in range(4))
        torch.testing.assert_close(interacting(rows)[b, m], torch.relu(mixed + r @ rows[b, m]))


@pytest.mark.slow
def test_gradients_of_all_matrices_are_those_of_finite_differences() -> None:
    two_layers = torch.nn.Sequential(layer(5, seed=1), layer(6, seed=2)).double()
    rows = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    names, weights = zip(*two_layers.named_parameters(), strict=True)
    assert len(names) == 8

    def run(rows: Tensor, *weights: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(two_layers, dict(zip(names, weights, strict=True)), (rows,))
        return result

    assert torch.autograd.gradcheck(run, (rows, *weights))


def test_nobody_attends_to_a_masked_field_and_the_rest_is_renormalised() -> None:
    interacting, rows = layer(), torch.randn(3, 4, 5)
    kept = torch.tensor([[True, False, True, True]]).expand(3, 4)
    weights = interacting.attention(rows, kept)
    assert torch.equal(weights[..., 1], torch.zeros(3, 2, 4))
    without = rows[:, [0, 2, 3]]
    torch.testing.assert_close(weights[:, :, [0, 2, 3]][..., [0, 2, 3]], interacting.attention(without))
    torch.testing.assert_close(interacting(rows, kept)[:, [0, 2, 3]], interacting(without))


def test_a_row_with_all_fields_masked_gives_no_nan() -> None:
    assert layer()(torch.randn(3, 4, 5), torch.zeros(3, 4, dtype=torch.bool)).isfinite().all()


def num_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_count_is_39361() -> None:
    built = tower(num_fields=39, dim=16, attention_dim=64, layers=3)
    assert [num_parameters(part) for part in built.layers] == [4_096, 16_384, 16_384]
    assert num_parameters(built.output) == 2_497
    assert num_parameters(built) == 39_361


def test_layer_norm_adds_two_vectors_a_layer() -> None:
    assert num_parameters(tower(num_fields=39, dim=16, attention_dim=64, layer_norm=True)) == 39_361 + 3 * 2 * 64


def test_only_the_output_layer_grows_with_the_fields() -> None:
    few, many = tower(num_fields=4), tower(num_fields=9)
    assert num_parameters(few.layers) == num_parameters(many.layers)
    assert num_parameters(many) - num_parameters(few) == 5 * 6


def test_logits_of_the_parallel_network_are_added() -> None:
    plus, fields = tower(mlp=(7,)), torch.randn(3, 32)
    plain = tower()
    plain.load_state_dict(plus.state_dict(), strict=False)
    assert plus.mlp is not None
    torch.testing.assert_close(plus(fields, NO_NUMBERS, []), plain(fields, NO_NUMBERS, []) + plus.mlp(fields))
    last = plus.mlp.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.zeros_(last.weight)
    assert torch.equal(plus(fields, NO_NUMBERS, []), plain(fields, NO_NUMBERS, []))


def test_without_layers_it_is_linear_in_the_embeddings() -> None:
    built, fields, other = tower(layers=0, num_numbers=2), torch.randn(3, 32), torch.randn(3, 32)
    numbers = torch.randn(3, 2)
    middle = built(0.5 * (fields + other), numbers, [])
    torch.testing.assert_close(middle, 0.5 * (built(fields, numbers, []) + built(other, numbers, [])))
    assert built.rows.of_numbers is not None
    embedded = torch.cat([fields, built.rows.of_numbers(numbers).flatten(1)], dim=1)
    torch.testing.assert_close(built(fields, numbers, []), built.output(embedded))


def positive_layer(*, without_attention: bool) -> InteractingLayer:
    """Build a layer whose ReLU is the identity on positive rows."""
    interacting = layer().double()
    with torch.no_grad():
        for parameter in interacting.parameters():
            parameter.abs_()
        if without_attention:
            interacting.query.weight.zero_()
            interacting.key.weight.zero_()
    return interacting


def mixed_difference(interacting: InteractingLayer, *, fields: list[int]) -> float:
    """Return the largest alternating sum over all ways to shift some of `fields`; 0 without their interaction."""
    torch.manual_seed(1)
    rows, shift = torch.rand(1, 4, 5, dtype=torch.float64) + 1, torch.rand(1, 4, 5, dtype=torch.float64)
    total = torch.zeros(1, 4, 6, dtype=torch.float64)
    for chosen in itertools.product([0, 1], repeat=len(fields)):
        moved = rows.clone()
        for field, is_moved in zip(fields, chosen, strict=True):
            moved[:, field] += is_moved * shift[:, field]
        total += (-1) ** sum(chosen) * interacting(moved)
    return float(total.detach().abs().max())


@pytest.mark.parametrize("fields", list(itertools.combinations(range(4), 2)))
def test_attention_is_what_makes_every_pair_of_fields_interact(fields: tuple[int, int]) -> None:
    assert mixed_difference(positive_layer(without_attention=False), fields=list(fields)) > 1e-4
    assert mixed_difference(positive_layer(without_attention=True), fields=list(fields)) < 1e-12


def test_the_softmax_of_one_layer_reaches_third_order_so_order_is_a_heuristic() -> None:
    assert mixed_difference(positive_layer(without_attention=False), fields=[0, 1, 2]) > 1e-6
    assert mixed_difference(positive_layer(without_attention=True), fields=[0, 1, 2]) < 1e-12


def parity_log(seed: int, *, num_rows: int = 3000) -> Log:
    """Draw six fields of two values; the label is the exclusive or of the first two."""
    bits = torch.randint(2, (num_rows, 6), generator=torch.Generator().manual_seed(seed))
    labels = (bits[:, 0] ^ bits[:, 1]).float()
    return Log(bits + 2 * torch.arange(6), labels, torch.zeros(num_rows, 0))


def fitted(model: AutoIntModel | LrModel, log: Log, *, seed: int, epochs: int = 6) -> Embedded:
    torch.manual_seed(seed)
    return fit(Embedded(12, 6, model, dim=8), log, epochs=epochs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_finds_a_planted_exclusive_or_that_is_hidden_from_lr(seed: int) -> None:
    train, test = parity_log(seed), parity_log(seed + 100, num_rows=1000)
    assert abs(auc(fitted(LrModel(tower="lr", dim=8), train, seed=seed), test) - 0.5) < 0.06
    assert auc(fitted(config(layers=2, attention_dim=16), train, seed=seed), test) > 0.95


@pytest.mark.slow
def test_the_planted_pair_attends_to_each_other_more_than_most_pairs_do() -> None:
    wins = 0
    for seed in range(5):
        log = parity_log(seed)
        model = fitted(config(layers=1, attention_dim=16), log, seed=seed)
        assert isinstance(model.tower, AutoInt)
        fields, numbers, _ = model.rows(log)
        (weights,) = model.tower.attention_maps(fields, numbers)
        mean = weights.mean((0, 1)).detach()
        pairs = {(a, b): float(mean[a, b] + mean[b, a]) for a, b in itertools.combinations(range(6), 2)}
        planted = pairs.pop((0, 1))
        wins += planted > sorted(pairs.values())[len(pairs) // 2]
    assert wins >= 4


@pytest.mark.slow
def test_the_residual_helps_where_single_fields_and_pairs_matter() -> None:
    gains = []
    for seed in range(3):
        draw = torch.Generator().manual_seed(seed)
        ids = torch.randint(10, (4000, 6), generator=draw) + 10 * torch.arange(6)
        weights, pairs = torch.randn(60, generator=draw), torch.randn(60, 4, generator=draw)
        logits = weights[ids].sum(1) + (pairs[ids[:, 0]] * pairs[ids[:, 1]]).sum(1)
        log = Log(ids, (torch.rand(4000, generator=draw) < torch.sigmoid(logits)).float(), torch.zeros(4000, 0))
        scores = []
        for residual in (True, False):
            torch.manual_seed(seed)
            model = Embedded(60, 6, config(layers=1, attention_dim=16, residual=residual), dim=8)
            scores.append(auc(fit(model, log.cut(0, 3000), epochs=4), log.cut(3000, 4000)))
        gains.append(scores[0] - scores[1])
    assert sum(gains) > 0, gains


def test_dropout_is_off_in_eval_mode_and_on_in_training() -> None:
    for keys in ({"dropout": 0.5, "mlp": (64,)}, {"attention_dropout": 0.5}):
        built, fields = tower(**keys), torch.randn(3, 32)
        assert torch.equal(built(fields, NO_NUMBERS, []), built(fields, NO_NUMBERS, []))
        built.train()
        assert not torch.equal(built(fields, NO_NUMBERS, []), built(fields, NO_NUMBERS, []))


def test_attention_maps_are_those_of_every_layer_over_fields_and_numbers() -> None:
    built, fields, numbers = tower(num_fields=4, num_numbers=2, layers=2), torch.randn(3, 32), torch.randn(3, 2)
    first, second = built.attention_maps(fields, numbers)
    assert first.shape == second.shape == (3, 2, 6, 6)
    rows = built.rows(fields, numbers)
    lower, upper = built.layers
    torch.testing.assert_close(first, lower.attention(rows))
    torch.testing.assert_close(second, upper.attention(lower(rows)))


def test_attention_maps_do_not_disturb_the_tower() -> None:
    built = tower()
    before = copy.deepcopy(built.state_dict())
    built.attention_maps(torch.randn(3, 32), NO_NUMBERS)
    assert all(torch.equal(before[name], tensor) for name, tensor in built.state_dict().items())


def test_heads_must_divide_the_attention_dim() -> None:
    with pytest.raises(ConfigError, match=r"model\.attention_dim: must be a multiple of heads \(4\), got 6"):
        tower(heads=4)
