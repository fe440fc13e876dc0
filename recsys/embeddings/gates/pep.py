"""PEP: entries of rows are pulled to zero by learnt soft thresholds.

Paper: Liu et al., "Learnable Embedding Sizes for Recommender Systems", ICLR 2021 (arXiv 2101.07577).

Dimension key: R rows of the table, V rows that are read, D width, L blocks, S groups of dimensions, F vocabularies.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from recsys.config.limits import Step
from recsys.embeddings.gates.base import Gate, GateSection, GateTable

__all__ = ["Pep", "PepGate", "soft_threshold"]


class PepGate(GateSection):
    """Learnt soft thresholds of entries (PEP, Liu et al. 2021)."""

    implementation = "recsys.embeddings.gates.pep:Pep"

    kind: Literal["pep"]
    thresholds: Literal["block", "feature", "row"] = "block"
    """Entries that share a threshold: a group of dimensions of a block, the same of a feature, or a row."""
    start: Annotated[float, Field(ge=-(10**4), le=10**4)] = -8.0
    """Logit of the thresholds at first: -8 is 0.0003, below -104 they are exactly 0."""
    speed: Step = 10.0
    """Speed of the logits: so many times the learning rate of the dense optimizer."""
    alpha: Annotated[float, Field(ge=0, le=10**6)] = 3e-4
    """Factor of the regularizer, which raises the thresholds: the sum of 1 - threshold."""


class Pep(Gate):
    """Subtracts a threshold from the size of each entry; what is smaller is zero.

    DIFF: the paper's thresholds rise by weight decay of their logits. Here a regularizer raises the thresholds
    themselves, so that what an entry is worth is weighed against the same push wherever the threshold is. Logits are
    `start + speed * parameter`, since an adaptive optimizer moves any parameter by its learning rate. Where thresholds
    stop, and so how many entries are left, is up to the length of the training; the paper stops at a density.
    """

    learns_on = "train"

    def __init__(self, table: GateTable, options: GateSection) -> None:
        super().__init__(table, options)
        assert isinstance(options, PepGate)
        self.options = options
        self.was_read = False
        shape = {
            "block": (table.num_blocks, table.num_groups),
            "feature": (int(table.feature.max()) + 1, table.num_groups),
            "row": (len(table.feature), 1),
        }[options.thresholds]
        self.moved = nn.Parameter(torch.zeros(shape))

    def threshold(self) -> Tensor:
        """Return the thresholds: (L, S), (F, S) or (R, 1)."""
        return torch.sigmoid(self.options.start + self.options.speed * self.moved)

    def forward(self, rows: list[Tensor], row_V: Tensor) -> Tensor:
        self.was_read |= len(row_V) > 0
        place_V = {"block": self.block, "feature": self.feature, "row": None}[self.options.thresholds]
        threshold_VS = self.threshold()[row_V if place_V is None else place_V[row_V]]
        return soft_threshold(rows[0], threshold_VS.repeat_interleave(self.dim // threshold_VS.shape[1], dim=1))

    def pop_loss(self) -> Tensor | None:
        """Return alpha times the sum of 1 - threshold; 0 if no row was read, as on a rank without any."""
        was_read, self.was_read = self.was_read, False
        return self.options.alpha * was_read * (1 - self.threshold()).sum()

    @torch.no_grad()
    def row_scores(self, weights: Sequence[Tensor]) -> Tensor | None:
        """Return the size of what is left of each row, (R,)."""
        return self.all_rows(weights).abs().sum(1)


def soft_threshold(value: Tensor, threshold: Tensor) -> Tensor:
    """Pull values towards 0 by a threshold.

    >>> soft_threshold(torch.tensor([-3.0, 0.5, 2.0]), torch.tensor([1.0, 1.0, 0.0])).tolist()
    [-2.0, 0.0, 2.0]
    """
    return value.sign() * torch.relu(value.abs() - threshold)
