import pytest
import torch
from torch import Tensor

from recsys.embeddings.gates.pep import Pep, soft_threshold
from tests.embeddings.gates.tables import gate_of, make_gated, random_weights, train


def pep(thresholds: str = "block", start: float = 0.0) -> Pep:
    """Return the gate of a table of 5 ids in two blocks, 8 wide in two groups; the threshold of a logit of 0 is 0.5."""
    gate = gate_of(make_gated({"kind": "pep", "thresholds": thresholds, "start": start}, 3, 2, dim=8, blocks=(1,)))
    assert isinstance(gate, Pep)
    return gate


def test_the_slope_of_a_soft_threshold_is_1_beyond_it_and_0_within_and_minus_the_sign_for_the_threshold() -> None:
    value = torch.tensor([-2.0, -0.3, 0.2, 1.5], requires_grad=True)
    threshold = torch.tensor([0.5] * 4, requires_grad=True)
    soft_threshold(value, threshold).sum().backward()
    assert value.grad is not None
    assert threshold.grad is not None
    assert value.grad.tolist() == [1, 0, 0, 1]
    assert threshold.grad.tolist() == [1, 0, 0, -1]


def test_the_gradient_of_a_logit_is_minus_the_sign_times_the_slope_of_the_sigmoid_on_survivors() -> None:
    gate = pep()
    row_Vd = torch.tensor([[-2.0, -0.3, 0.2, 1.5, 0.6, -0.7, -0.8, 0.1]])
    gate([row_Vd], torch.tensor([1])).sum().backward()
    slope = 0.25 * 10  # of the sigmoid at 0, times the speed
    assert gate.moved.grad is not None
    assert gate.moved.grad.tolist() == [[0, 0], [0, (2 - 1) * slope]]


@pytest.mark.parametrize(
    ("thresholds", "shape", "sharing"),
    [("block", (2, 2), [0, 1, 1, 0, 1]), ("feature", (2, 2), [0, 0, 0, 1, 1]), ("row", (5, 1), [0, 1, 2, 3, 4])],
)
def test_thresholds_are_shared_by_the_rows_that_they_are_for(
    thresholds: str, shape: tuple[int, int], sharing: list[int]
) -> None:
    gate = pep(thresholds)
    assert gate.moved.shape == shape
    gate.moved.data.copy_(torch.linspace(0, 0.5, gate.moved.numel()).view(shape))
    seen: Tensor = gate([torch.ones(5, 8)], torch.arange(5))
    expected = (1 - gate.threshold())[torch.tensor(sharing)].repeat_interleave(8 // shape[1], dim=1)
    torch.testing.assert_close(seen, expected)


def test_rows_of_which_nothing_is_left_are_not_kept() -> None:
    table = make_gated({"kind": "pep", "start": 0.0}, 3)
    weight = torch.tensor([[0.4, -0.4, 0.1, 0.2], [0.4, -0.6, 0.1, 0.2], [2.0, 2.0, 2.0, 2.0]])
    kept = table.kept_rows({"t_table": weight})
    assert kept is not None
    assert kept.tolist() == [False, True, True]


def test_the_regularizer_raises_thresholds_and_is_given_once_a_step() -> None:
    gate = pep(start=-8.0)
    for num_rows, pushes in ((0, False), (2, True), (0, False)):
        gate([torch.zeros(num_rows, 8)], torch.arange(num_rows))
        loss = gate.pop_loss()
        assert loss is not None
        (gradient,) = torch.autograd.grad(loss, gate.moved)
        assert bool((gradient < 0).all()) is pushes


def test_thresholds_rise_while_training_until_entries_are_zero() -> None:
    trained = train({"kind": "pep", "alpha": 1.0, "start": -8.0, "speed": 30.0}, steps=20)
    for scheme in trained.schemes.values():
        gate = gate_of(scheme)
        assert isinstance(gate, Pep)
        assert (gate.threshold() > torch.sigmoid(torch.tensor(-8.0))).all()
    importance = make_gated({"kind": "pep", "start": 4.0}, 6).importance(random_weights(make_gated("pep", 6)))
    plain = make_gated({"kind": "pep"}, 6).importance(random_weights(make_gated("pep", 6)))
    assert (importance < plain / 2).all()
