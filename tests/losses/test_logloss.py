import math

import pytest
import torch
from torch import Tensor

from recsys.config.losses.logloss import LogLossSection
from recsys.losses import build_loss, weighted_mean


def mean_logloss(logits: Tensor, labels: Tensor) -> Tensor:
    return weighted_mean(build_loss(LogLossSection())(logits, labels))


def test_without_weights_the_loss_is_the_mean_over_rows_and_tasks() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0]])
    labels = torch.tensor([[1.0, 1.0], [0.0, 0.5]])
    # -log of 1/2, 3/4, 1/4 and 1/2
    expected = (math.log(2) + math.log(4 / 3) + math.log(4) + math.log(2)) / 4
    assert mean_logloss(logits, labels).item() == pytest.approx(expected, rel=1e-6)


def test_without_weights_not_a_bit_differs_from_a_plain_mean_of_rows() -> None:
    loss = torch.rand(7, 2)
    assert torch.equal(weighted_mean(loss), loss.mean(dim=1).sum() / 7)
    assert torch.equal(weighted_mean(loss, torch.full((7,), 0.3), mean_weight=0.3), weighted_mean(loss))


@pytest.mark.parametrize("mean_weight", [1.0, 2.5])
def test_with_weights_rows_count_as_their_weight_to_the_mean_weight(mean_weight: float) -> None:
    logits = torch.tensor([[0.0], [math.log(3)], [math.log(3)]])
    labels = torch.tensor([[1.0], [1.0], [0.0]])
    weights = torch.tensor([4.0, 1.0, 0.0])  # they sum neither to the rows nor to the rows times the mean weight
    expected = (4 * math.log(2) + math.log(4 / 3)) / (3 * mean_weight)
    loss = weighted_mean(build_loss(LogLossSection())(logits, labels), weights, mean_weight=mean_weight)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e30])
def test_the_unit_of_weights_does_not_matter_but_a_light_row_is_light(scale: float) -> None:
    loss, weights = torch.rand(5, 1), torch.tensor([1.0, 2.0, 3.0, 4.0, 1e-6])
    scaled = weighted_mean(loss, weights * scale, mean_weight=2.0 * scale)
    torch.testing.assert_close(scaled, weighted_mean(loss, weights, mean_weight=2.0))
    alone = weighted_mean(loss[4:], weights[4:] * scale, mean_weight=2.0 * scale)
    torch.testing.assert_close(alone, loss[4, 0] * 0.5e-6)


def test_parts_of_a_batch_add_up_to_its_loss() -> None:
    logits, labels, weights = torch.randn(6, 2), torch.ones(6, 2), torch.rand(6)
    loss = build_loss(LogLossSection())(logits, labels)
    cuts = (slice(0, 2), slice(2, 6), slice(6, 6))
    parts = [weighted_mean(loss[rows], weights[rows], mean_weight=0.4, num_rows=6) for rows in cuts]
    torch.testing.assert_close(sum(parts), weighted_mean(loss, weights, mean_weight=0.4))


def test_a_batch_without_any_weight_costs_nothing() -> None:
    logits = torch.tensor([[0.3]], requires_grad=True)
    loss = weighted_mean(build_loss(LogLossSection())(logits, torch.ones(1, 1)), torch.zeros(1))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.item() == 0.0


def test_half_precision_logits_lose_nothing_in_the_loss() -> None:
    logits = torch.tensor([[8.0]], dtype=torch.bfloat16)
    loss = mean_logloss(logits, torch.ones(1, 1))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log1p(math.exp(-8)), rel=1e-5)


def test_the_loss_is_that_of_the_probabilities_of_its_link() -> None:
    loss, logits = build_loss(LogLossSection()), torch.linspace(-5, 5, 11)[:, None]
    labels = (torch.arange(11) % 2).float()[:, None]
    p = loss.link()(logits)
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log())
    torch.testing.assert_close(loss(logits, labels), expected.float())
