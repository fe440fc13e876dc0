import pytest
import torch

from recsys.embeddings.gates.autosrh import AutoSrh
from recsys.embeddings.gates.gated import Gated
from tests.embeddings.gates.tables import gate_of, make_gated, random_weights


def make() -> Gated:
    return make_gated("autosrh", 10, dim=8, blocks=(4,))


def autosrh(table: Gated) -> AutoSrh:
    gate = gate_of(table)
    assert isinstance(gate, AutoSrh)
    return gate


def test_its_gate_is_that_of_dnis_in_the_free_space() -> None:
    gate = autosrh(make())
    gate.learn([torch.tensor([[3.0, -1.0], [0.0, 1.0]])])
    torch.testing.assert_close(gate.alpha, torch.tensor([[1 - 0.0015, 1.0], [1 - 5e-8, 0.998]]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("density", [0.05, 0.5, 1.0])
def test_the_largest_gated_entries_are_left_and_exactly_as_many_as_asked_for(density: float) -> None:
    table, gate = make(), autosrh(make())
    weights = list(random_weights(table).values())
    kept_RD = gate.entries(weights, density)
    assert int(kept_RD.sum()) == round(density * 80)
    size_RD = gate.all_rows(weights).abs()
    assert density == 1 or size_RD[kept_RD].min() > size_RD[~kept_RD].max()


def test_entries_are_judged_behind_the_gate_and_not_by_gate_or_row_alone() -> None:
    gate = autosrh(make())
    gate.alpha.copy_(torch.tensor([[0.1, 1.0], [1.0, 0.1]]))
    weight = torch.ones(10, 8)
    weight[:, :4] = 5  # 0.5, 1 in the first block, 5, 0.1 in the second
    assert gate.kept_share([weight], (6 * 4 + 4 * 4) / 80).tolist() == [[0.0, 1.0], [1.0, 0.0]]
