"""What towers are fed is computed by the same functions in training and in exported graphs."""

import pytest
import torch

from recsys.towers.inputs import make_behaviours, pool

LENGTHS = torch.tensor([2, 0, 1])
VECTORS = torch.tensor([[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]])


@pytest.mark.parametrize(
    ("pooling", "expected"), [("sum", [[4, 2], [0, 0], [9, 9]]), ("mean", [[2, 1], [0, 0], [9, 9]])]
)
def test_a_list_becomes_one_vector_whether_or_not_the_lookup_has_summed_it(
    pooling: str, expected: list[list[float]]
) -> None:
    summed = torch.tensor([[4.0, 2.0], [0.0, 0.0], [9.0, 9.0]])
    assert pool(VECTORS, LENGTHS, pooling, False).tolist() == expected
    assert pool(summed, LENGTHS, pooling, True).tolist() == expected
    scripted = torch.jit.script(pool)
    assert scripted(VECTORS, LENGTHS, pooling, False).tolist() == expected


def test_a_behaviour_holds_its_sequences_and_targets_side_by_side() -> None:
    vectors = {"item": torch.ones(3, 2), "shop": torch.zeros(3, 1), "items": VECTORS, "shops": VECTORS[:, :1]}
    (behaviour,) = make_behaviours([["items", "shops"]], [["item", "shop"]], vectors, {"items": LENGTHS})
    assert behaviour.target.tolist() == [[1, 1, 0]] * 3
    assert behaviour.history.tolist() == [[1, 0, 1], [3, 2, 3], [9, 9, 9]]
    assert behaviour.lengths is LENGTHS
