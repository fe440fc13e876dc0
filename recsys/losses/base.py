"""The contract of a loss, and how the losses of rows become the loss of a batch.

Dimension key: B rows of a batch, T tasks.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from recsys.config.losses import CustomLoss, LossSection

__all__ = ["Loss", "Sigmoid", "weighted_mean"]


class Sigmoid(nn.Module):
    """The link of losses of a log-odds: p = 1 / (1 + exp(-logit)), in float64 so that close scores stay apart.

    Shape:
        logits: any; floats.
        output: the same, float64.

    Example:
        >>> Sigmoid()(torch.tensor([0.0]))
        tensor([0.5000], dtype=torch.float64)
    """

    def forward(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits.double())


class Loss(nn.Module, ABC):
    """A function that is minimized, and the link from logits to probabilities that belongs to it.

    A subclass is built as `Loss(config)`, where `config` is the section `train.loss`.

    Args:
        config: the section of the configuration.
    """

    section: ClassVar[type[LossSection]] = CustomLoss
    """The section that configures it."""

    def __init__(self, config: LossSection) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each row and task, without any mean: the weights of rows are applied by the caller.

        Shape:
            logits: (B, T), of any float type; B may be 0.
            labels: (B, T) float32, 0 or 1.
            output: (B, T) float32.
        """

    def link(self) -> nn.Module:
        """Return the link: a scriptable module from logits (B, T) to probabilities (B, T) in float64.

        It must be increasing. Validation, predictions and the exported model take their scores from it.
        """
        return Sigmoid()


def weighted_mean(
    loss_BT: Tensor, weights_B: Tensor | None = None, *, mean_weight: float = 1.0, num_rows: int | None = None
) -> Tensor:
    """Return the mean over tasks and rows of a loss whose rows count as their weights to the mean weight.

    It is not divided by the weights of the batch itself: a batch of light rows is to move the model less than one of
    heavy rows. Over all rows of a split whose mean weight is given, it is the weighted mean.

    Args:
        loss_BT: the loss of each row and task.
        weights_B: the weights of the rows; None counts each row once.
        mean_weight: mean weight of the rows of the training split.
        num_rows: rows of the whole batch, if these are a part of it: the result is their part of its mean.
    """
    loss_B = loss_BT.mean(dim=1)
    if weights_B is not None:
        loss_B = loss_B * (weights_B / mean_weight)
    return loss_B.sum() / max(len(loss_B) if num_rows is None else num_rows, 1)
