import math

import pytest
import torch
from torch import Tensor

from recsys.config.losses.logloss import LogLossSection
from recsys.losses import build_loss, weighted_mean


def mean_logloss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    return weighted_mean(build_loss(LogLossSection())(logits, labels), weights)


def test_without_weights_the_loss_is_the_mean_over_rows_and_tasks() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0]])
    labels = torch.tensor([[1.0, 1.0], [0.0, 0.5]])
    # -log of 1/2, 3/4, 1/4 and 1/2
    expected = (math.log(2) + math.log(4 / 3) + math.log(4) + math.log(2)) / 4
    assert mean_logloss(logits, labels, None).item() == pytest.approx(expected, rel=1e-6)


def test_with_weights_it_is_the_weighted_mean_over_rows() -> None:
    logits = torch.tensor([[0.0], [math.log(3)], [math.log(3)]])
    labels = torch.tensor([[1.0], [1.0], [0.0]])
    weights = torch.tensor([2.0, 1.0, 0.0])
    expected = (2 * math.log(2) + math.log(4 / 3)) / 3
    assert mean_logloss(logits, labels, weights).item() == pytest.approx(expected, rel=1e-6)


def test_parts_of_a_batch_add_up_to_its_loss() -> None:
    logits, labels, weights = torch.randn(6, 2), torch.ones(6, 2), torch.rand(6)
    loss = build_loss(LogLossSection())(logits, labels)
    parts = [weighted_mean(loss[rows], weights[rows], float(weights.sum())) for rows in (slice(0, 2), slice(2, 6))]
    torch.testing.assert_close(sum(parts), weighted_mean(loss, weights))


def test_a_batch_without_any_weight_costs_nothing() -> None:
    logits = torch.tensor([[0.3]], requires_grad=True)
    loss = mean_logloss(logits, torch.ones(1, 1), torch.zeros(1))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.item() == 0.0


def test_half_precision_logits_lose_nothing_in_the_loss() -> None:
    logits = torch.tensor([[8.0]], dtype=torch.bfloat16)
    loss = mean_logloss(logits, torch.ones(1, 1), None)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log1p(math.exp(-8)), rel=1e-5)


def test_the_loss_is_that_of_the_probabilities_of_its_link() -> None:
    loss, logits = build_loss(LogLossSection()), torch.linspace(-5, 5, 11)[:, None]
    labels = (torch.arange(11) % 2).float()[:, None]
    p = loss.link()(logits)
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log())
    torch.testing.assert_close(loss(logits, labels), expected.float())
