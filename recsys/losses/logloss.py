"""The log loss, with which all results of this package are trained."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from recsys.config.losses.logloss import LogLossSection
from recsys.losses.base import Loss

__all__ = ["LogLoss"]


class LogLoss(Loss):
    """Binary cross entropy: -y log p - (1 - y) log(1 - p), where p is the sigmoid of the logit.

    It is computed from the logits in float32, so that it stays finite where p rounds to 0 or 1.

    Example:
        >>> import torch
        >>> LogLoss(LogLossSection())(torch.zeros(1, 1), torch.ones(1, 1))
        tensor([[0.6931]])
    """

    section = LogLossSection

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")
