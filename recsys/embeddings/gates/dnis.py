"""DNIS: a soft selection over blocks of ids and groups of dimensions, learnt by the loss on validation batches.

Paper: Cheng, Shen and Huang, "Differentiable Neural Input Search for Recommender Systems", 2020 (arXiv 2006.04466).

Dimension key: V rows that are read, D width, L blocks, S groups of dimensions.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from recsys.config.limits import LearningRate
from recsys.embeddings.gates.base import Gate, GateSection, GateTable

__all__ = ["Dnis", "DnisGate", "SelectionGate", "normalized"]

Space = Literal["free", "embedding_block", "feature_block"]


class SelectionGate(GateSection):
    """Base of the sections of soft selections."""

    lr: LearningRate = 0.01
    """Learning rate of the selection."""
    l1: Annotated[float, Field(ge=0, le=10**6)] = 1e-5
    """Factor of the L1 penalty of the selection; see `l1_inside`."""
    l1_inside: bool = True
    """Whether the penalty is part of the gradient that is normalized, as in the paper. A block whose gradient is much
    smaller than `l1`, as that of rare ids is, then closes in 1 / lr steps whatever it is worth. If not, every open
    group is pushed by l1 times the block's mean gradient: 0.1 is moderate, and no block closes by being rare."""


class DnisGate(SelectionGate):
    """Soft selection over blocks of ids and groups of dimensions (DNIS, Cheng et al. 2020)."""

    implementation = "recsys.embeddings.gates.dnis:Dnis"

    kind: Literal["dnis"]
    space: Space = "free"
    """Selections to search among. free: any groups of each block; embedding_block: the first groups of each block;
    feature_block: each group for the first blocks, the most frequent ones."""


class Dnis(Gate):
    """Multiplies the groups of each block's rows by a selection in [0, 1], at first 1.

    DIFF: selection and blocks are those of one table, if the search gives every vocabulary a table of its own; in
    the paper rare values of all fields share a block. First order only. Gradients are divided by their mean without
    1e-8 in the denominator, so that blocks whose gradients are smaller than that move as fast as others.
    """

    learns_on = "valid"

    alpha: Tensor
    offset: Tensor

    def __init__(self, table: GateTable, options: GateSection) -> None:
        super().__init__(table, options)
        assert isinstance(options, SelectionGate)
        self.options = options
        space: Space = options.space if isinstance(options, DnisGate) else "free"
        L, S = table.num_blocks, table.num_groups
        self.most = {"free": 1.0, "embedding_block": float(S), "feature_block": float(L)}[space]
        shape = {"free": (L, S), "embedding_block": (L, 1), "feature_block": (1, S)}[space]
        offset = {
            "free": torch.zeros(1, 1),
            "embedding_block": torch.arange(S).unsqueeze(0),
            "feature_block": torch.arange(L).unsqueeze(1),
        }[space]
        self.register_buffer("alpha", torch.full(shape, self.most))
        self.register_buffer("offset", offset.float(), persistent=False)

    def selection(self) -> Tensor:
        """Return the factor of each block and group, (L, S) in [0, 1].

        In the space embedding_block, alpha is how many groups a block keeps; in feature_block, how many blocks keep a
        group.
        """
        return (self.alpha - self.offset).clamp(0, 1)

    def forward(self, rows: list[Tensor], row_V: Tensor) -> Tensor:
        factor_LD = self.selection().repeat_interleave(self.dim // self.num_groups, dim=1)
        return rows[0] * factor_LD[self.block[row_V]]

    def leaves(self) -> list[Tensor]:
        return [self.alpha]

    def learn(self, gradients: Sequence[Tensor]) -> None:
        (gradient,) = gradients
        self.normalized_step(gradient, lr=self.options.lr, l1=self.options.l1, l1_inside=self.options.l1_inside)

    @torch.no_grad()
    def normalized_step(self, gradient: Tensor, *, lr: float, l1: float, l1_inside: bool) -> None:
        """Move alpha by one step, after which it is within its bounds.

        Args:
            gradient: Gradient of the validation loss, in the shape of alpha.
            lr: Mean step of a row of alpha, before it is cut to the bounds.
            l1: Factor of the L1 penalty.
            l1_inside: Whether the penalty is normalized with the gradient (the paper) or added afterwards.
        """
        penalty = l1 * self.alpha.sign()
        step = normalized(gradient + penalty) if l1_inside else normalized(gradient) + penalty
        self.alpha.sub_(lr * step).clamp_(0, self.most)


def normalized(gradient: Tensor) -> Tensor:
    """Divide each row of a gradient by the mean of its absolute values, so that all blocks move equally fast.

    >>> normalized(torch.tensor([[3.0, -1.0], [0.0, 0.0]])).tolist()
    [[1.5, -0.5], [0.0, 0.0]]
    """
    mean = gradient.abs().mean(dim=1, keepdim=True)
    return torch.where(mean > 0, gradient / mean, 0.0)
