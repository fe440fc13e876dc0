"""The acceptance checks 1-9, 14, 15, 18 and 22 of DNIS that concern its gate.

Those of all gates are in test_gated.py: bit for bit the plain model at alpha 1 (1), and masks that training keeps (18).
"""

import pytest
import torch
from torch import Tensor

from recsys.embeddings.gates.dnis import Dnis, normalized
from recsys.embeddings.gates.gated import Gated
from recsys.training.strategy import table_weights
from tests.embeddings.gates.tables import gate_of, make_gated, random_weights, train
from tests.embeddings.trained_cases import make_batch

IDS = torch.tensor([0, 3, 5, 5, 9])
"""Of the blocks 0, 1, 2, 2, 2 of a table of 10 ids whose blocks end at 2 and 5."""
IN_RARE_BLOCK = torch.tensor([False, False, True, True, True])


def make(alpha: Tensor | float | None = None, *, space: str = "free", dim: int = 8, num_ids: int = 10) -> Gated:
    table = make_gated({"kind": "dnis", "space": space}, num_ids, dim=dim, blocks=(2, 5))
    if alpha is not None:
        dnis(table).alpha.copy_(torch.as_tensor(alpha).expand_as(dnis(table).alpha))
    return table


def dnis(table: Gated) -> Dnis:
    gate = gate_of(table)
    assert isinstance(gate, Dnis)
    return gate


def gradients(table: Gated, weight_Rd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a loss at the gated rows of `IDS`, of the table and of alpha."""
    weight_Rd = weight_Rd.clone().requires_grad_()
    alpha = dnis(table).alpha.requires_grad_()
    gated_VD = table.combine([weight_Rd[IDS]], IDS, 0)
    gated_VD.retain_grad()
    (gated_VD.sin() * torch.arange(1.0, 9.0)).sum().backward()
    assert gated_VD.grad is not None
    assert weight_Rd.grad is not None
    assert alpha.grad is not None
    dnis(table).alpha = alpha.detach()
    return gated_VD.grad, weight_Rd.grad, alpha.grad


def some_alpha() -> Tensor:
    return torch.tensor([[1.0, 1.0], [0.5, 0.25], [0.125, 0.75]])


def test_a_block_with_alpha_0_contributes_nothing_and_may_open_again() -> None:
    table = make(torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))
    weight = random_weights(table)["t_table"]
    assert not table.combine([weight[IDS]], IDS, 0)[IN_RARE_BLOCK].any()
    at_gated, at_weight, at_alpha = gradients(table, weight)
    assert not at_weight[5:].any()
    expected = (at_gated * weight[IDS])[IN_RARE_BLOCK].sum(0).view(2, 4).sum(1)
    assert expected.all()
    torch.testing.assert_close(at_alpha[2], expected)


def test_the_gradient_of_alpha_is_that_of_the_gated_rows_times_the_rows() -> None:
    table = make(some_alpha())
    weight = random_weights(table)["t_table"]
    at_gated, _, at_alpha = gradients(table, weight)
    expected = torch.zeros(3, 2).index_add_(0, dnis(table).block[IDS], (at_gated * weight[IDS]).view(5, 2, 4).sum(2))
    torch.testing.assert_close(at_alpha, expected)


def test_the_gradient_of_alpha_agrees_with_finite_differences() -> None:
    table = make(some_alpha() * 0.9).double()
    weight = random_weights(table)["t_table"].double()

    def loss(alpha: Tensor) -> Tensor:
        dnis(table).alpha = alpha
        return (table.combine([weight[IDS]], IDS, 0).sin() * torch.arange(1.0, 9.0)).sum()

    assert torch.autograd.gradcheck(loss, (dnis(table).alpha.requires_grad_(),), atol=1e-4)


def test_the_gradient_of_a_row_is_that_of_the_gated_row_times_alpha_and_the_same_where_that_is_1() -> None:
    table = make(some_alpha())
    at_gated, at_weight, _ = gradients(table, random_weights(table)["t_table"])
    alpha_VD = some_alpha().repeat_interleave(4, dim=1)[dnis(table).block[IDS]]
    torch.testing.assert_close(at_weight, torch.zeros(10, 8).index_add_(0, IDS, at_gated * alpha_VD))
    assert torch.equal(at_weight[0], at_gated[0])


def test_smaller_gates_and_larger_rows_are_the_same() -> None:
    weight = random_weights(make())["t_table"]
    found = make(some_alpha() / 4).combine([weight[IDS] * 4], IDS, 0)
    assert torch.equal(found, make(some_alpha()).combine([weight[IDS]], IDS, 0))


def test_absorbing_the_gate_into_the_rows_changes_nothing() -> None:
    table = make(some_alpha())
    weights = random_weights(table)
    absorbed = table.gated_rows(weights)
    expected = table.combine([weights["t_table"][IDS]], IDS, 0)
    torch.testing.assert_close(make().combine([absorbed[IDS]], IDS, 0), expected, rtol=0, atol=1e-6)
    assert torch.equal(table.serving(weights)(IDS, 0), expected)


def test_a_normalized_gradient_has_mean_1_in_each_block_and_keeps_signs_and_ratios() -> None:
    gradient = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 3, 5).unsqueeze(1)
    found = normalized(gradient)
    torch.testing.assert_close(found.abs().mean(1), torch.ones(5), rtol=0, atol=1e-6)
    torch.testing.assert_close(found / found[:, :1], gradient / gradient[:, :1])
    assert torch.equal(found.sign(), gradient.sign())


@pytest.mark.parametrize("l1_inside", [True, False])
def test_a_step_does_not_depend_on_the_scale_of_the_loss(l1_inside: bool) -> None:
    """If the penalty is part of what is normalized, it must be scaled with the loss."""
    gradient, steps = torch.tensor([[3.0, -1.0], [0.5, 0.25], [0.0, 0.0]]), []
    for scale in (1.0, 1024.0):
        table = make(0.5)
        l1 = 0.01 * scale if l1_inside else 0.01
        dnis(table).normalized_step(gradient * scale, lr=0.1, l1=l1, l1_inside=l1_inside)
        steps.append(dnis(table).alpha)
    assert torch.equal(*steps)


def test_a_block_without_gradient_stays() -> None:
    table = make(0.5)
    dnis(table).normalized_step(torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]), lr=0.1, l1=0, l1_inside=True)
    assert dnis(table).alpha[1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e-12])
def test_all_blocks_move_by_the_learning_rate_however_small_their_gradients(factor: float) -> None:
    table = make(0.5)
    dnis(table).normalized_step(torch.tensor([[2.0, -1.0]] * 3) * factor, lr=0.01, l1=0, l1_inside=True)
    moved = (0.5 - dnis(table).alpha).abs().mean(1)
    torch.testing.assert_close(moved, torch.full((3,), 0.01), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("space", "most"), [("free", 1.0), ("embedding_block", 2.0), ("feature_block", 3.0)])
def test_alpha_keeps_to_its_bounds_and_the_selection_to_0_and_1(space: str, most: float) -> None:
    table = make(space=space)
    gate, draw = dnis(table), torch.Generator().manual_seed(0)
    assert (gate.alpha == most).all()
    for _ in range(200):
        gradient = torch.randn(gate.alpha.shape, generator=draw)
        gate.normalized_step(gradient, lr=0.5, l1=1e-5, l1_inside=True)
        assert ((gate.alpha >= 0) & (gate.alpha <= most)).all()
        assert ((gate.selection() >= 0) & (gate.selection() <= 1)).all()


def test_the_first_step_moves_only_what_the_loss_wants_smaller() -> None:
    table = make()
    dnis(table).normalized_step(torch.tensor([[1.0, -1.0]] * 3), lr=0.01, l1=0, l1_inside=True)
    torch.testing.assert_close(dnis(table).alpha, torch.tensor([[0.99, 1.0]] * 3))


def test_one_block_is_one_mask_for_all_ids() -> None:
    table = make_gated("dnis", 10, dim=8)
    dnis(table).alpha.copy_(torch.tensor([[1.0, 0.0]]))
    seen = table.combine([torch.ones(10, 8)], torch.arange(10), 0)
    assert torch.equal(seen, torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0]).expand(10, 8))


@pytest.mark.parametrize(("space", "axis"), [("embedding_block", 1), ("feature_block", 0)])
def test_other_spaces_select_the_first_groups_of_a_block_or_the_first_blocks_of_a_group(space: str, axis: int) -> None:
    table = make_gated({"kind": "dnis", "space": space}, 10, dim=16, blocks=(2, 5))
    gate = dnis(table)
    gate.alpha.copy_(torch.rand(gate.alpha.shape, generator=torch.Generator().manual_seed(0)) * gate.most)
    assert (gate.selection().diff(dim=axis) <= 0).all()
    assert len(gate.selection().unique()) > 2


@pytest.mark.parametrize("num_ids", [10, 1000])
@pytest.mark.parametrize(("space", "count"), [("free", 6), ("embedding_block", 3), ("feature_block", 2)])
def test_the_size_of_the_gate_does_not_depend_on_the_number_of_ids(num_ids: int, space: str, count: int) -> None:
    (alpha,) = gate_of(make(space=space, num_ids=num_ids)).leaves()
    assert alpha.numel() == count


def test_a_block_of_tiny_gradients_closes_in_1_over_lr_steps_if_the_penalty_is_normalized_and_else_does_not() -> None:
    """The paper's penalty is all that such a block has; beside the normalized gradient it does not count as more."""
    alphas = {}
    for l1_inside in (True, False):
        table, draw = make(), torch.Generator().manual_seed(0)
        for _ in range(105):  # some more than 100, for the noise
            gradient = torch.randn(3, 2, generator=draw) * torch.tensor([[1.0], [1.0], [1e-8]])
            dnis(table).normalized_step(gradient, lr=0.01, l1=1e-5, l1_inside=l1_inside)
        alphas[l1_inside] = dnis(table).alpha
    assert alphas[True][2].tolist() == [0.0, 0.0]
    assert (alphas[True][:2] > 0.5).all()
    assert (alphas[False] > 0.5).all()


def test_gates_learn_on_other_batches_and_leave_the_model_as_it_is() -> None:
    """As a schedule of a search does it: `CtrTask.gradients` on leaves that are buffers, then `learn`."""
    trained = train("dnis")
    gates = [gate_of(scheme) for scheme in trained.schemes.values()]
    leaves = [leaf.fill_(0.5).requires_grad_() for gate in gates for leaf in gate.leaves()]
    task = trained.task
    batch = task.model.module.layout.collate(make_batch(16, 99))
    weights = table_weights(task.model)
    tower = [parameter.detach().clone() for parameter in task.model.module.tower.parameters()]
    found = task.gradients(batch, leaves)
    for gate, leaf, gradient in zip(gates, leaves, found, strict=True):
        leaf.requires_grad_(False)
        gate.learn([gradient])
        assert (leaf != 0.5).any()
    assert all(torch.equal(weights[name], before) for name, before in trained.weights.items())
    assert all(torch.equal(*pair) for pair in zip(task.model.module.tower.parameters(), tower, strict=True))
