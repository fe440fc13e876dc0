import pytest
import torch
from torch import Tensor

from recsys.embeddings.gates.autodim import COLDEST, AutoDim
from recsys.embeddings.gates.gated import Gated
from recsys.errors import ConfigError
from recsys.training.strategy import table_weights
from tests.embeddings.gates.tables import gate_of, make_gated, random_weights, train
from tests.embeddings.trained_cases import make_batch


def make(**keys: object) -> Gated:
    return make_gated({"kind": "autodim", "widths": (4, 8, 16), **keys}, 6, dim=16, blocks=(2,))


def autodim(table: Gated) -> AutoDim:
    gate = gate_of(table)
    assert isinstance(gate, AutoDim)
    return gate


def test_every_candidate_has_rows_of_its_own_and_the_widest_those_of_the_plain_table() -> None:
    table = make()
    assert [(one.name, one.dim) for one in table.tables(0)] == [("t_table_4", 4), ("t_table_8", 8), ("t_table", 16)]
    assert table.remap(torch.tensor([5]), 0).tolist() == [[5]] * 3
    assert sum(one.dim for one in table.tables(0)) / 16 == 1.75  # what the search costs in bytes


def test_mixtures_sum_to_1_and_are_nearly_one_candidate_when_cold() -> None:
    torch.manual_seed(0)
    gate = autodim(make(anneal=0.01))
    torch.testing.assert_close(gate.mixture().sum(1), torch.ones(2))
    gate.num_steps.fill_(1000)
    assert float(gate.temperature()) == pytest.approx(COLDEST)
    drawn = torch.stack([gate.mixture() for _ in range(50)])
    assert float(drawn.amax(2).quantile(0.2)) > 0.99
    assert len(drawn.argmax(2).unique()) == 3


@pytest.mark.parametrize(("steps", "expected"), [(0, 1.0), (50, 0.5), (99, COLDEST), (10**6, COLDEST)])
def test_the_temperature_falls_with_the_steps_of_the_mixture(steps: int, expected: float) -> None:
    gate = autodim(make(anneal=0.01))
    for _ in range(min(steps, 100)):
        gate.learn([torch.zeros(2, 3)])
    assert float(gate.temperature()) == pytest.approx(expected, rel=1e-4)


def test_nothing_is_drawn_in_evaluation_and_the_best_candidate_does_not_depend_on_what_is() -> None:
    gate = autodim(make()).eval()
    gate.logits.copy_(torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]]))
    state = torch.get_rng_state()
    torch.testing.assert_close(gate.mixture(), torch.softmax(gate.logits, dim=1))
    assert torch.equal(torch.get_rng_state(), state)


def test_candidates_are_normalized_over_the_batch_and_in_evaluation_by_running_statistics() -> None:
    table = make().train()
    rows = [torch.randn(64, width) * width for width in (4, 8, 16)]
    gate = autodim(table)
    for c in range(3):
        normalized = gate.candidate(rows[c], c)
        torch.testing.assert_close(normalized.mean(0), torch.zeros(16), rtol=0, atol=1e-5)
        torch.testing.assert_close(normalized.var(0, correction=0), torch.ones(16), rtol=0, atol=1e-3)
    assert (gate.running_var != 1).all()
    table.eval()
    one, all_ = (table.combine([row[:n] for row in rows], torch.arange(n) % 6, 0) for n in (1, 64))
    torch.testing.assert_close(one, all_[:1])


def test_masks_take_the_narrowest_candidate_that_has_the_columns_and_none_for_no_column() -> None:
    table = make().eval()
    gate, weights = autodim(table), random_weights(make())
    column_mask = (torch.arange(16) < torch.tensor([[5], [0]])).float()
    table.set_masks(column_mask, torch.ones(6))
    seen = table.gated_rows(weights)
    torch.testing.assert_close(seen[:2], gate.candidate(weights["t_table_8"][:2], 1).detach())
    assert not seen[2:].any()


def test_importance_is_the_weight_of_the_candidates_that_reach_a_group() -> None:
    table = make()
    autodim(table).logits.copy_(torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])))
    expected = torch.tensor([[1.0, 0.5, 0.25, 0.25], [1.0, 0.9, 0.8, 0.8]])
    torch.testing.assert_close(table.importance(random_weights(table)), expected)


def test_the_mixture_learns_on_other_batches_only() -> None:
    trained = train({"kind": "autodim", "widths": (4,)})
    gates = [gate_of(scheme) for scheme in trained.schemes.values()]
    leaves = [leaf for gate in gates for leaf in gate.leaves()]
    assert not any(leaf.any() for leaf in leaves)  # after training batches
    task = trained.task
    statistics = [gate.get_buffer("running_mean").clone() for gate in gates]
    found = task.gradients(
        task.model.module.layout.collate(make_batch(16, 99)), [leaf.requires_grad_() for leaf in leaves]
    )
    assert len(found) == len(leaves)
    weights = table_weights(task.model)
    assert all(torch.equal(weights[name], before) for name, before in trained.weights.items())
    assert all(torch.equal(gate.get_buffer("running_mean"), one) for gate, one in zip(gates, statistics, strict=True))


def test_a_candidate_that_helps_gains_weight() -> None:
    """A loss on the rows of one candidate only: its logit rises, by the learning rate in each step."""
    torch.manual_seed(0)
    table = make(batch_norm=False, lr=0.1)
    gate = autodim(table)
    rows: list[Tensor] = [torch.zeros(6, 4), torch.zeros(6, 8), torch.ones(6, 16)]
    for _ in range(100):
        (leaf,) = [leaf.requires_grad_() for leaf in gate.leaves()]
        loss = -table.combine(rows, torch.arange(6), 0).sum()
        gradients = torch.autograd.grad(loss, [leaf])
        leaf.requires_grad_(False)
        gate.learn(gradients)
    assert (gate.logits.argmax(1) == 2).all()
    assert (torch.softmax(gate.logits, 1)[:, 2] > 0.9).all()


def test_the_widest_candidate_must_be_the_embedding() -> None:
    with pytest.raises(ConfigError, match=r"the widest of widths must be dim \(16\), got 8"):
        make(widths=(4, 8))
