"""AutoSrh: the later form of DNIS, which cuts by the size of the gated entries of all rows.

Paper: Kong, Cheng and Shen, "An Automatic Embedding Size Search Framework", 2022, as in Zhang et al., VLDB 2024.

Dimension key: R rows of the table, D width, L blocks, S groups of dimensions.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from recsys.config.limits import LearningRate
from recsys.embeddings.gates.base import block_means
from recsys.embeddings.gates.dnis import Dnis, SelectionGate
from recsys.embeddings.schemes.deeplight import largest

__all__ = ["AutoSrh", "AutoSrhGate"]


class AutoSrhGate(SelectionGate):
    """Soft selection whose gated entries are cut by size (AutoSrh, the later form of DNIS)."""

    implementation = "recsys.embeddings.gates.autosrh:AutoSrh"

    kind: Literal["autosrh"]
    lr: LearningRate = 0.001
    """Learning rate of the selection."""


class AutoSrh(Dnis):
    """The gate of DNIS in its free space; what is left of a table are its largest gated entries.

    DIFF: the paper stores what is left entry by entry, as a sparse matrix. `kept_share` says what that is of each block
    and group of dimensions, for tables of whole rows.
    """

    @torch.no_grad()
    def entries(self, weights: Sequence[Tensor], density: float) -> Tensor:
        """Return the entries of all gated rows that a share of them leaves, by size: (R, D) bool.

        Exactly round(density * R * D) are left; of equal ones the first.
        """
        gated_RD = self.all_rows(weights)
        return largest(gated_RD.view(-1), round(density * gated_RD.numel())).view_as(gated_RD)

    def kept_share(self, weights: Sequence[Tensor], density: float) -> Tensor:
        """Return which part of each block and group is left, (L, S) in [0, 1]."""
        kept_RD = self.entries(weights, density).float()
        return block_means(kept_RD.view(len(kept_RD), self.num_groups, -1).mean(2), self.block, self.num_blocks)
