"""The acceptance checks 11 to 13, 16, 17 and 19 to 21 of DNIS; those of its gate are in tests/embeddings/gates.

Check 10 is in test_bilevel.py. There is no second-order path, so of 11 the part remains that concerns the first order.
Of 16 and 17, blocks have widths here; single weights are not pruned.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.data.prepared import Prepared
from recsys.embeddings.gates.base import GateTable
from recsys.embeddings.gates.dnis import Dnis as DnisGate
from recsys.embeddings.gates.dnis import DnisGate as DnisSection
from recsys.search.cuts import importance_orders, whole_shapes, with_columns
from recsys.search.methods.base import Request, find_method
from recsys.search.methods.dnis import Dnis
from recsys.search.supernet import block_ends, gated_tables, shapes_applied, table_bytes
from recsys.training.build import LoadedModel
from recsys.training.strategy import table_weights
from tests.search.nets import build_supernet, make_prepared


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("log"))


@pytest.fixture
def supernet(prepared: Prepared) -> LoadedModel:
    return build_supernet(prepared, "dnis", num_blocks=2)


def make_gate(dim: int, **options: float | bool) -> DnisGate:
    """Make a gate of a single block whose groups are single dimensions."""
    table = GateTable(dim, dim, torch.zeros(1, dtype=torch.int64), 1, torch.zeros(1, dtype=torch.int64))
    return DnisGate(table, DnisSection.model_validate({"kind": "dnis", **options}))


# --- the gates and what they learn ------------------------------------------------------------------------------------


def test_11_the_first_order_gradient_is_the_whole_one_where_weights_do_not_depend_on_the_gates() -> None:
    """L_train is of the weights alone, so w*(alpha) is constant, and the hypergradient is the partial derivative."""
    gate = make_gate(4)
    row, goal = torch.tensor([[1.0, -2.0, 3.0, 0.5]]), torch.tensor([[0.5, 1.0, 3.0, 0.0]])
    alpha = gate.leaves()[0].requires_grad_()
    loss = (gate([row], torch.tensor([0])) - goal).square().sum() / 2
    (gradient,) = torch.autograd.grad(loss, [alpha])
    torch.testing.assert_close(gradient, (row - goal) * row, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("l1", "noise_closes"), [(0.05, True), (0.0, False)])
def test_12_useful_dimensions_stay_open_and_noise_closes_under_l1(l1: float, noise_closes: bool) -> None:
    """y = sum of c_k e_k; the rows of the last two dimensions have no part in it, and the model no weight for them."""
    gate = make_gate(4, lr=0.01, l1=l1)
    weight, rows = torch.tensor([1.0, -1.0, 0.0, 0.0]), torch.randn(512, 4, generator=torch.Generator().manual_seed(0))
    goal = rows @ weight
    for _ in range(300):
        alpha = gate.leaves()[0].requires_grad_()
        loss = (gate([rows], torch.zeros(512, dtype=torch.int64)) @ weight - goal).square().mean()
        (gradient,) = torch.autograd.grad(loss, [alpha])
        alpha.requires_grad_(False)
        gate.learn([gradient])
    assert (gate.alpha[0, :2] > 0.9).all()
    assert bool((gate.alpha[0, 2:] < 0.1).all()) == noise_closes
    assert noise_closes or (gate.alpha[0, 2:] == 1).all()


# --- blocks -----------------------------------------------------------------------------------------------------------


def test_13_blocks_go_by_training_frequency_and_ties_are_cut_alike() -> None:
    counts = np.array([3, 90, 50, 50, 20, 5, 5, 5, 1, 1, 1, 1])
    ends = block_ends(counts, 3, least=2)
    assert ends == block_ends(counts.copy(), 3, least=2)
    edges = [0, *ends, len(counts)]
    used = [counts[max(first, 1) : last] for first, last in pairwise(edges)]
    assert all(more.min() >= fewer.max() for more, fewer in pairwise(used))
    assert sum(map(len, used)) == len(counts) - 1


def test_13_unseen_values_have_the_unknown_id_whose_block_is_the_first(prepared: Prepared) -> None:
    """DIFF: in the paper unseen values are in the last block; here they share one id, which is trained as any other."""
    scheme = gated_tables(build_supernet(prepared, "dnis", num_blocks=2))["user"]
    assert scheme.gate.block[0] == 0
    assert prepared.state.vocabularies["user"].encode(np.array([10**9])).tolist() == [0]
    blocks = scheme.gate.block[1:].numpy()
    counts = prepared.state.vocabularies["user"].counts[1:]
    assert counts[blocks == 0].min() >= counts[blocks == 1].max()


# --- from gates to tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.25, 0.4, 0.5, 0.75, 1.0])
def test_16_a_budget_leaves_as_many_weights_as_it_allows(
    supernet: LoadedModel, prepared: Prepared, share: float, tmp_path: Path
) -> None:
    full = table_bytes(supernet, {}).serving
    allowed = int(share * full)
    for weight in table_weights(supernet.model).values():
        weight.mul_(100)  # else nothing is worth its bytes
    request = Request(loaded=supernet, prepared=prepared, budgets=[allowed], state=tmp_path)
    (candidate,) = Dnis().candidates(request)
    with shapes_applied(supernet, candidate.shapes):
        nonzero = sum(
            int(scheme.gated_rows(table_weights(supernet.model)).count_nonzero())
            for scheme in gated_tables(supernet).values()
        )
    assert 4 * nonzero == table_bytes(supernet, candidate.shapes).serving <= allowed


def test_17_the_width_of_a_block_is_the_number_of_its_kept_columns(supernet: LoadedModel) -> None:
    """Compact tables, gathered back to the columns that were kept, are the masked rows to the bit."""
    shape = with_columns(whole_shapes(supernet)["user"], {0: (4, 5, 6, 7), 1: ()})
    assert shape.widths == (4, 0)
    scheme, weights = gated_tables(supernet)["user"], table_weights(supernet.model)
    scheme.gate.learn([torch.tensor([[1.0, 2.0], [3.0, 4.0]])])
    with shapes_applied(supernet, {"user": shape}):
        masked = scheme.gated_rows(weights)
    compact = scheme.gated_rows(weights)[: shape.block_sizes[0], list(shape.columns[0])]
    gathered = torch.zeros_like(masked)
    gathered[: shape.block_sizes[0], list(shape.columns[0])] = compact
    assert torch.equal(gathered, masked)


def test_groups_are_ranked_by_what_the_model_sees_and_not_by_the_gate(supernet: LoadedModel) -> None:
    scheme = gated_tables(supernet)["user"]
    assert isinstance(scheme.gate, DnisGate)
    scheme.gate.alpha.copy_(torch.tensor([[1.0, 0.5]]).expand(2, 2))
    table_weights(supernet.model)["user_table"][:, 4:] *= 100
    assert importance_orders(supernet)["user"].tolist() == [[1, 0], [1, 0]]


def test_the_supernet_has_epochs_for_both_stages(prepared: Prepared) -> None:
    config = Dnis().supernet(prepared)
    assert config.train.epochs == 2 * prepared.resolved.config.train.epochs
    assert find_method("dnis") is Dnis
