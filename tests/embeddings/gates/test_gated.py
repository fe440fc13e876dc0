"""A full table behind any gate: a scheme like others, and the plain model until the gate has learnt something."""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import pytest
import torch

from recsys.config.schemes import SCHEMES
from recsys.config.schemes.full import FullTable
from recsys.embeddings import Layout
from recsys.embeddings.gates.base import GATES
from recsys.embeddings.schemes.full import Full
from recsys.errors import ConfigError
from recsys.testing import SchemeContract
from recsys.testing.tiny_tables import make_layout
from tests.embeddings.gates.tables import GATED, GATES_BY_NAME, Trained, gate_of, make_gated, random_weights, train
from tests.embeddings.public_data import vocabularies

IDENTITIES: dict[str, Any] = {
    "dnis": {"kind": "dnis"},
    "dnis by prefixes": {"kind": "dnis", "space": "embedding_block"},
    "dnis by blocks": {"kind": "dnis", "space": "feature_block"},
    "nested": {"kind": "nested", "widths": (4,)},
    "optembed": {"kind": "optembed", "threshold": -2.0, "half_life": None},
    "pep": {"kind": "pep", "start": -150.0},
    "autodim": {"kind": "autodim", "widths": (4,), "batch_norm": False},
    "autosrh": {"kind": "autosrh"},
}
"""Gates that let everything pass."""
FORMS: dict[str, dict[str, Any]] = {"pooled": {}, "jagged": {"jagged": True}, "regularized": {"regularized": True}}


class TestGated(SchemeContract):
    """Every gate, with two blocks."""

    cases: ClassVar = {
        "several widths": {"scheme": GATED, "gate": {"kind": "autodim", "widths": (4, 8)}, "dim": 8},
        **{name: {"scheme": GATED, "gate": gate, "blocks": (3,)} for name, gate in GATES_BY_NAME.items()},
    }
    stores_per_id = (GATED,)
    test_the_model_trains_on_it = pytest.mark.slow(SchemeContract.test_the_model_trains_on_it)

    def test_gradients_of_own_parameters_agree_with_finite_differences(
        self, one_table: Callable[..., Layout], spec: dict[str, Any]
    ) -> None:
        if spec["gate"]["kind"] == "optembed":
            pytest.skip("a step function has no derivative; the one that stands for it is tested in test_optembed.py")
        super().test_gradients_of_own_parameters_agree_with_finite_differences(one_table)  # type: ignore[misc]


def test_every_gate_is_an_example() -> None:
    assert {gate["kind"] for gate in GATES_BY_NAME.values()} == set(GATES)
    assert {gate["kind"] for gate in IDENTITIES.values()} == set(GATES)


@cache
def plain(form: str, sparse: str) -> Trained:
    return train(None, form=FORMS[form], sparse=sparse)


@pytest.mark.parametrize("sparse", ["rowwise_adagrad", "adagrad", "sgd"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gate", IDENTITIES.values(), ids=IDENTITIES)
def test_a_gate_that_lets_everything_pass_is_the_plain_model_bit_for_bit(gate: Any, form: str, sparse: str) -> None:
    """Outputs, gradients (by what fused and dense optimizers made of them) and training."""
    expected, found = plain(form, sparse), train(gate, form=FORMS[form], sparse=sparse)
    assert found.losses == expected.losses
    assert found.weights.keys() == expected.weights.keys()
    assert all(torch.equal(found.weights[name], weight) for name, weight in expected.weights.items())
    assert torch.equal(found.logits, expected.logits)


@pytest.mark.parametrize("gate", GATES_BY_NAME.values(), ids=GATES_BY_NAME)
def test_what_is_served_is_a_plain_table_of_the_gated_rows(gate: Any) -> None:
    """The masks are absorbed too; the bytes are those of the plain table."""
    table = make_gated(gate, 6, 3, blocks=(2,))
    table.set_masks(torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 0]]), torch.tensor([1.0, 1, 0, 1, 1, 1, 1, 1, 1]))
    weights = random_weights(table)
    exported = table.eval().serving(weights)
    seen = table.combine([weight[:6] for weight in weights.values()], torch.arange(6), 0)
    assert torch.equal(exported(torch.arange(6), 0), seen)
    assert not seen[2].any()
    assert seen[1].all()
    if gate["kind"] != "autodim":  # which takes the candidate that has 2 columns, or the next, mapped to all 4
        assert (seen[3:, :2] != 0).all()
        assert not seen[3:, 2:].any()
    full = Full("t", vocabularies([6, 3]), 4, FullTable(features=("*",)))
    assert table.serving_bytes() == full.serving_bytes()


@pytest.mark.parametrize("gate", GATES_BY_NAME.values(), ids=GATES_BY_NAME)
def test_asking_for_all_rows_leaves_the_gate_in_its_mode(gate: Any) -> None:
    table = make_gated(gate, 6)
    state = torch.get_rng_state()
    for training in (True, False):
        table.train(training).gated_rows(random_weights(table))
        assert table.gate.training is training
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("gate", GATES_BY_NAME.values(), ids=GATES_BY_NAME)
def test_making_a_gate_draws_no_random_numbers(gate: Any) -> None:
    """So that the dense part of a supernet begins as that of the plain model does."""
    state = torch.get_rng_state()
    make_gated(gate, 6)
    assert torch.equal(torch.get_rng_state(), state)


def test_importance_is_the_size_of_what_is_seen_of_a_block_and_group() -> None:
    table = make_gated("dnis", 4, dim=8, blocks=(1, 4))
    weights = {"t_table": torch.ones(4, 8) * torch.tensor([1.0, 2, 2, 2]).unsqueeze(1)}
    alpha = gate_of(table).get_buffer("alpha")
    alpha.copy_(torch.tensor([[1.0, 0.5], [0.25, 0], [1, 1]]))
    assert table.importance(weights).tolist() == [[1.0, 0.5], [0.5, 0.0], [0.0, 0.0]]  # the last block has no rows
    assert table.kept_rows(weights) is None


def test_masks_that_are_trained_with_keep_masked_entries_at_zero() -> None:
    """With momentum and weight decay the stored rows move; what the model sees of them stays 0."""
    table = make_gated("dnis", 6)
    column_mask, row_mask = torch.tensor([[1.0, 0, 1, 0]]), torch.tensor([1.0, 0, 1, 1, 1, 1])
    table.set_masks(column_mask, row_mask)
    weight = torch.nn.Parameter(random_weights(table)["t_table"])
    before = weight.detach().clone()
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (table.combine([weight], torch.arange(6), 0) - 1).square().sum().backward()
        optimizer.step()
    seen = table.gated_rows({"t_table": weight.detach()})
    assert torch.equal(seen != 0, (column_mask * row_mask.unsqueeze(1)).bool())
    assert (weight != before).all()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"gate": "dnix"}, "kind=dnix.*kind=dnis"),
        ({"gate": {"kind": "dnis", "lrr": 1}}, "lrr"),
        ({"gate": "dnis", "blocks": (4, 2)}, r"blocks must rise, got \[4, 2\]"),
        ({"gate": "dnis", "groups": 3}, r"groups: must divide dim \(4\), got 3"),
        ({"gate": {"kind": "nested", "widths": (8,)}}, r"widths must be at most dim \(4\), got 8"),
    ],
)
def test_bad_keys_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=message):
        make_layout({"user": {"features": ["user"], "scheme": GATED, **keys}})


def test_it_is_not_listed_to_users() -> None:
    assert "gated" not in SCHEMES
