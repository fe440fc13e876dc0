"""The sparse optimizers, for rows that a scheme stores itself: the same steps as FBGEMM's fused kernels take.

Dimension key: N rows of the table, U rows that a step changes, each once, D width of a row.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.config import SparseOptimizer

__all__ = ["RowOptimizer"]

MEAN_DECAY, SQUARE_DECAY = 0.9, 0.999
"""Decay rates of Adam, as in TorchRec."""


class RowOptimizer(nn.Module):
    """Turns gradients of some rows into what is to be subtracted from them; its state is part of the checkpoint.

    `eps` is added to the root, Adam corrects the bias of its moments by the number of steps of the whole table, and
    moments of rows that a step has not read stay as they are: all as in FBGEMM.

    Shape:
        row_U: (U,) int64, no row twice.
        gradient_UD: (U, D), the sum over all uses of the row.
        output: (U, D).

    Example:
        >>> adagrad = RowOptimizer(SparseOptimizer(name="adagrad", lr=0.5), num_rows=9, dim=2)
        >>> adagrad(torch.tensor([7]), torch.tensor([[3.0, -4.0]])).tolist()
        [[0.5, -0.5]]
    """

    rate: Tensor
    means: Tensor
    squares: Tensor
    steps: Tensor

    def __init__(self, config: SparseOptimizer, *, num_rows: int, dim: int) -> None:
        super().__init__()
        self.kind = config.name
        self.eps = config.eps
        self.register_buffer("rate", torch.tensor(config.lr, dtype=torch.float64))
        if self.kind == "rowwise_adagrad":
            self.register_buffer("squares", torch.zeros(num_rows, 1))
        elif self.kind != "sgd":
            self.register_buffer("squares", torch.zeros(num_rows, dim))
        if self.kind == "adam":
            self.register_buffer("means", torch.zeros(num_rows, dim))
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, row_U: Tensor, gradient_UD: Tensor) -> Tensor:
        if self.kind == "sgd":
            return self.rate * gradient_UD
        if self.kind == "adam":
            return self._adam(row_U, gradient_UD)
        square_UD = gradient_UD.square()
        if self.kind == "rowwise_adagrad":
            square_UD = square_UD.mean(dim=1, keepdim=True)
        total_UD = functional.embedding(row_U, self.squares) + square_UD
        self.squares.index_copy_(0, row_U, total_UD)
        return self.rate / (total_UD.sqrt() + self.eps) * gradient_UD

    def _adam(self, row_U: Tensor, gradient_UD: Tensor) -> Tensor:
        self.steps += 1
        mean_UD = functional.embedding(row_U, self.means).lerp(gradient_UD, 1 - MEAN_DECAY)
        square_UD = functional.embedding(row_U, self.squares).lerp(gradient_UD.square(), 1 - SQUARE_DECAY)
        self.means.index_copy_(0, row_U, mean_UD)
        self.squares.index_copy_(0, row_U, square_UD)
        mean_UD = mean_UD / (1 - MEAN_DECAY**self.steps)
        square_UD = square_UD / (1 - SQUARE_DECAY**self.steps)
        return self.rate * mean_UD / (square_UD.sqrt() + self.eps)
