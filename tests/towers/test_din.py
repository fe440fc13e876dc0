"""DIN: the acceptance checks of its paper are named by their number; those of Dice are in test_layers.py."""

import pytest
import torch
from torch import Tensor

from recsys.config.towers.din import DinModel
from recsys.config.towers.mlp import MlpModel
from recsys.errors import ConfigError
from recsys.towers import Behaviour, BehaviourInputs, TowerInputs, build_tower
from recsys.towers.din import Din, Interest, Positions
from recsys.towers.layers import Dice
from tests.towers.planted import Embedded, Log, auc, fit

BOTH_MODES = pytest.mark.parametrize("softmax", [False, True])


def interest(*, softmax: bool = False, hidden: tuple[int, ...] = (6, 4)) -> Interest:
    torch.manual_seed(0)
    return Interest(3, hidden, target_dim=3, activation="sigmoid", softmax=softmax)


def behaviour(*histories: Tensor, target: Tensor | None = None) -> Behaviour:
    """Lay the histories (length, 3) of the rows end to end."""
    torch.manual_seed(1)
    target = torch.randn(len(histories), 3) if target is None else target
    return Behaviour(target, torch.cat(histories), torch.tensor([len(h) for h in histories], dtype=torch.int32))


def history(length: int, *, seed: int = 0) -> Tensor:
    return torch.randn(length, 3, generator=torch.Generator().manual_seed(seed))


def set_last_layer(module: Interest, *, weight: float | None, bias: float) -> None:
    last = module.rest[1].layers[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.constant_(last.bias, bias)
    if weight is not None:
        torch.nn.init.constant_(last.weight, weight)


@BOTH_MODES
def test_equal_scores_of_one_are_sum_pooling_or_with_softmax_mean_pooling(softmax: bool) -> None:
    module = interest(softmax=softmax)
    set_last_layer(module, weight=0, bias=1)
    first, second = history(4), history(2, seed=1)
    pooled = [h.mean(0) if softmax else h.sum(0) for h in (first, second)]
    torch.testing.assert_close(module(behaviour(first, second)), torch.stack(pooled))


@BOTH_MODES
def test_the_order_of_the_history_does_not_matter(softmax: bool) -> None:
    module, entries = interest(softmax=softmax), history(5)
    torch.testing.assert_close(module(behaviour(entries)), module(behaviour(entries.flip(0))))


@BOTH_MODES
def test_other_rows_histories_leave_no_trace_in_outputs_or_gradients(softmax: bool) -> None:
    """There is no padding in a jagged history; what could leak in its stead are the neighbours' entries."""
    module = interest(softmax=softmax)
    alone = behaviour(history(3).requires_grad_())
    garbage = 1e3 * history(4, seed=2)
    target = torch.cat([torch.randn(1, 3), alone.target, torch.randn(1, 3)])
    entries = torch.cat([garbage, alone.history.detach(), garbage]).requires_grad_()
    among = Behaviour(target, entries, torch.tensor([4, 3, 4], dtype=torch.int32))
    torch.testing.assert_close(module(among)[1:2], module(alone), rtol=0, atol=1e-6)
    (gradient,) = torch.autograd.grad(module(among)[1].sum(), entries)
    (expected,) = torch.autograd.grad(module(alone).sum(), alone.history)
    torch.testing.assert_close(gradient[4:7], expected, rtol=0, atol=1e-6)
    assert torch.equal(gradient[[0, 1, 2, 3, 7, 8, 9, 10]], torch.zeros(8, 3))


@BOTH_MODES
def test_an_empty_history_gives_zeros_and_finite_gradients(softmax: bool) -> None:
    module = interest(softmax=softmax)
    pooled = module(behaviour(history(2), history(0), history(1)))
    assert torch.equal(pooled[1], torch.zeros(3))
    pooled.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_a_single_entry_is_itself_with_softmax_and_weighted_without() -> None:
    entry = history(1)
    torch.testing.assert_close(interest(softmax=True)(behaviour(entry)), entry)
    module = interest()
    torch.testing.assert_close(module(behaviour(entry)), module.weights(behaviour(entry)) * entry)


def test_a_history_seen_twice_doubles_the_interest_unless_softmax() -> None:
    once, twice = behaviour(history(4)), behaviour(history(4).repeat(2, 1))
    torch.testing.assert_close(interest()(twice), 2 * interest()(once))
    torch.testing.assert_close(interest(softmax=True)(twice), interest(softmax=True)(once))


def test_softmax_alone_does_not_see_a_shift_of_all_scores() -> None:
    entries = behaviour(history(4))
    for softmax in (False, True):
        module = interest(softmax=softmax)
        before = module(entries)
        set_last_layer(module, weight=None, bias=3)
        assert torch.allclose(module(entries), before, atol=1e-6) == softmax


@BOTH_MODES
def test_the_interest_depends_on_the_candidate(softmax: bool) -> None:
    module, entries = interest(softmax=softmax), history(4)
    first, second = (behaviour(entries, target=torch.full((1, 3), value)) for value in (-2.0, 2.0))
    assert not torch.allclose(module(first), module(second), atol=1e-3)


def naive_first_layer(module: Interest, entries: Behaviour) -> Tensor:
    q, k = entries.target.repeat_interleave(entries.lengths, dim=0), entries.history
    result: Tensor = module.first(torch.cat([q, k, q - k, q * k], dim=1))
    return result


def test_the_difference_of_equal_vectors_is_empty() -> None:
    module, entry = interest(), history(1)
    same = behaviour(entry, target=entry)
    before = module.first_layer(same)
    with torch.no_grad():
        module.first.weight[:, 6:9] += 100  # what multiplies q - k
    torch.testing.assert_close(module.first_layer(same), before, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(module.first_layer(behaviour(entry + 1, target=entry)), before, atol=1)


@BOTH_MODES
def test_gradients_are_those_of_finite_differences(softmax: bool) -> None:
    module = interest(softmax=softmax, hidden=(3, 2)).double()
    names, weights = zip(*module.named_parameters(), strict=True)
    target = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    entries = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)

    def run(target: Tensor, entries: Tensor, *weights: Tensor) -> Tensor:
        parameters = dict(zip(names, weights, strict=True))
        arguments = Behaviour(target, entries, torch.tensor([2, 0, 3]))
        result: Tensor = torch.func.functional_call(module, parameters, (arguments,))
        return result

    assert torch.autograd.gradcheck(run, (target, entries, *weights))


def test_the_fused_first_layer_equals_the_naive_one_and_has_a_row_for_each_entry() -> None:
    module, entries = interest(), behaviour(history(4), history(0), history(2))
    fused = module.first_layer(entries)
    assert fused.shape == (6, 6)
    torch.testing.assert_close(fused, naive_first_layer(module, entries), rtol=0, atol=1e-5)


def test_without_hidden_layers_the_scores_are_linear_in_the_input() -> None:
    module, entries = interest(hidden=()), behaviour(history(4), history(2))
    torch.testing.assert_close(module.weights(entries), naive_first_layer(module, entries).squeeze(1))


def test_the_mlp_sees_fields_numbers_interests_and_their_products_with_the_candidate() -> None:
    inputs = TowerInputs(dims=[1], num_numbers=1, behaviours=[BehaviourInputs([0], 3, 3)], num_tasks=1)
    tower = Din(inputs, DinModel(tower="din", mlp=(), attention=(4,)))
    entries = behaviour(history(2), target=torch.tensor([[10.0, 20.0, 30.0]]))
    set_last_layer(tower.interests[0], weight=0, bias=1)
    pooled = entries.history.sum(0)
    seen: list[Tensor] = []
    tower.mlp.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    tower(torch.tensor([[5.0]]), torch.tensor([[6.0]]), [entries])
    expected = torch.cat([torch.tensor([5.0, 6.0]), pooled, pooled * torch.tensor([10.0, 20.0, 30.0])])
    torch.testing.assert_close(seen[0][0], expected)


def test_each_behaviour_has_an_activation_unit_of_its_own() -> None:
    inputs = TowerInputs([3], 0, [BehaviourInputs([0], 3, 3), BehaviourInputs([0], 3, 3)], 1)
    tower = Din(inputs, DinModel(tower="din"))
    entries = behaviour(history(3))
    first, second = tower.interests
    assert not torch.allclose(first(entries), second(entries), atol=1e-4)


def test_the_activation_unit_has_an_activation_of_its_own() -> None:
    inputs = TowerInputs([3], 0, [BehaviourInputs([0], 3, 3)], 1)
    tower = Din(inputs, DinModel(tower="din", activation="relu", attention_activation="dice"))
    assert any(isinstance(module, Dice) for module in tower.interests.modules())
    assert not any(isinstance(module, Dice) for module in tower.mlp.modules())


def test_din_without_a_sequence_is_an_error() -> None:
    with pytest.raises(
        ConfigError, match=r"model\.tower: din needs a feature of type sequence that is `of` another, got none"
    ):
        build_tower(TowerInputs([3], 0, [], 1), DinModel(tower="din"))


NUM_CATEGORIES = 60


def interest_log(seed: int, *, num_rows: int = 6000, length: int = 8) -> Log:
    """Draw a candidate's category and up to 8 of the past; the label says, with 5% noise, whether it is among them."""
    draw = torch.Generator().manual_seed(seed)
    past = torch.randint(1, NUM_CATEGORIES, (num_rows, length), generator=draw)
    past = past * (torch.arange(length) < torch.randint(length + 1, (num_rows, 1), generator=draw))
    one_of_past = past[:, :1].clamp(min=1)
    chosen = torch.rand(num_rows, 1, generator=draw) < 0.5
    candidate = torch.where(chosen, one_of_past, torch.randint(1, NUM_CATEGORIES, (num_rows, 1), generator=draw))
    is_known = (past == candidate).any(1)
    flipped = torch.rand(num_rows, generator=draw) < 0.05
    return Log(candidate, (is_known ^ flipped).float(), past)


def fitted(model: DinModel | MlpModel, seed: int) -> Embedded:
    torch.manual_seed(seed)
    return fit(Embedded(NUM_CATEGORIES, 1, model, dim=8, with_history=True), interest_log(seed), epochs=5)


DIN = DinModel(tower="din", mlp=(32,), attention=(16,))
BASE = MlpModel(tower="mlp", mlp=(32,))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_beats_mean_pooling_where_the_candidate_decides(seed: int) -> None:
    test = interest_log(seed + 100, num_rows=2000)
    assert auc(fitted(DIN, seed), test) - auc(fitted(BASE, seed), test) >= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("softmax", [False, True])
def test_entries_of_the_candidates_category_weigh_more(softmax: bool) -> None:
    model = fitted(DIN.model_copy(update={"attention_softmax": softmax}), seed=0)
    log = interest_log(100, num_rows=2000)
    assert isinstance(model.tower, Din)
    _, _, (entries,) = model.rows(log)
    weights = model.tower.interests[0].weights(entries).abs().detach()
    same = (log.history == log.ids)[log.history > 0]
    assert weights[same].mean() > 2 * weights[~same].mean()


def test_a_pooled_history_reaches_the_mlp_as_its_mean_and_gives_the_entries_gradients() -> None:
    torch.manual_seed(0)
    inputs = TowerInputs([2], 0, [BehaviourInputs([0], 3, 3)], 1)
    config = DinModel.model_validate({"tower": "din", "mlp": (), "attention": (), "pooled_history": "mean"})
    tower = build_tower(inputs, config)
    assert isinstance(tower, Din)
    set_to_zero = [tower.interests[0].first.weight, tower.interests[0].first.bias]
    for parameter in set_to_zero:  # the attended history is zeros
        torch.nn.init.zeros_(parameter)
    rows = behaviour(history(4), history(0), history(2, seed=1))
    entries = rows.history.requires_grad_()
    logits = tower(torch.zeros(3, 2), torch.zeros(3, 0), [rows])
    last = tower.mlp.layers[-1]
    means = torch.stack([history(4).mean(0), torch.zeros(3), history(2, seed=1).mean(0)])
    torch.testing.assert_close(logits, means @ last.weight[:, -3:].T + last.bias)
    (gradient,) = torch.autograd.grad(logits.sum(), entries)
    torch.testing.assert_close(gradient[:4], last.weight[:, -3:].expand(4, 3) / 4)


@pytest.mark.parametrize("softmax", [False, True])
def test_what_the_candidate_has_not_is_weighed_and_pooled_but_in_no_product(softmax: bool) -> None:
    """A candidate with zeros there, and no weights for them, has the same interests."""
    torch.manual_seed(0)
    wide = Interest(5, (4,), target_dim=3, activation="sigmoid", softmax=softmax)
    full = Interest(5, (4,), target_dim=5, activation="sigmoid", softmax=softmax)
    full.load_state_dict({**full.state_dict(), **{n: t for n, t in wide.state_dict().items() if n != "first.weight"}})
    of_target, of_entry, of_difference, of_product = torch.split(wide.first.weight, [3, 5, 3, 3], dim=1)
    padded = [torch.nn.functional.pad(part, (0, 2)) for part in (of_target, of_difference, of_product)]
    full.first.weight = torch.nn.Parameter(torch.cat([padded[0], of_entry, *padded[1:]], dim=1))
    target, entries, lengths = torch.randn(3, 3), torch.randn(4, 5), torch.tensor([3, 0, 1])
    found = wide(Behaviour(target, entries, lengths))
    expected = full(Behaviour(torch.nn.functional.pad(target, (0, 2)), entries, lengths))
    torch.testing.assert_close(found, expected)
    changed = entries + torch.tensor([0.0, 0, 0, 1, 0])
    assert not torch.allclose(
        wide.weights(Behaviour(target, changed, lengths))[0], wide.weights(Behaviour(target, entries, lengths))[0]
    )


def test_an_entry_has_the_embedding_of_how_many_came_after_it() -> None:
    positions = Positions(2)
    rows = behaviour(history(0), history(14), history(1), history(0))
    placed = positions(rows)
    assert torch.equal(placed.history[:, :3], rows.history)
    assert torch.equal(placed.target, rows.target)
    by_distance = [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7]
    assert torch.equal(placed.history[:, 3:], positions.weight[[*by_distance[::-1], 0]])


def test_the_longest_history_that_a_config_allows_has_positions() -> None:
    rows = Behaviour(torch.zeros(1, 1), torch.zeros(10**6, 1), torch.tensor([10**6], dtype=torch.int32))
    positions = Positions(1)
    assert torch.equal(positions(rows).history[:1, 1:], positions.weight[-1:])


def last_entry_log(seed: int, *, num_rows: int) -> Log:
    """Draw histories of 2 to 8 categories, each once, and a candidate of theirs; the label says if it is the last."""
    draw = torch.Generator().manual_seed(seed)
    past = 1 + torch.rand(num_rows, NUM_CATEGORIES - 1, generator=draw).argsort(1)[:, :8]
    length = torch.randint(2, 9, (num_rows, 1), generator=draw)
    last = length - 1
    earlier = (torch.rand(num_rows, 1, generator=draw) * last).long()
    is_last = torch.rand(num_rows, 1, generator=draw) < 0.5
    candidate = past.gather(1, torch.where(is_last, last, earlier))
    return Log(candidate, is_last.squeeze(1).float(), past * (torch.arange(8) < length))


@pytest.mark.slow
def test_with_positions_it_finds_what_only_their_order_tells() -> None:
    train, test = last_entry_log(0, num_rows=8000), last_entry_log(1, num_rows=2000)
    found = {}
    for position_dim in (None, 4):
        torch.manual_seed(0)
        config = DIN.model_copy(update={"attention_softmax": True, "position_dim": position_dim})
        model = fit(Embedded(NUM_CATEGORIES, 1, config, dim=8, with_history=True), train, epochs=8)
        found[position_dim] = auc(model, test)
    assert found[4] > 0.9
    assert found[None] < 0.6
