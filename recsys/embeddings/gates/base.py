"""The contract of a gate: what stands between the rows of a table and the model while a search decides what to keep.

Dimension key: R rows of the table, V rows that are read, K physical tables, D width, L blocks of rows, S groups of
neighbouring dimensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from recsys.config.section import Section, SectionRegistry
from recsys.embeddings.scheme import StageStep

__all__ = ["GATES", "Gate", "GateSection", "GateTable", "block_means"]

PIECE = 2**18
"""Rows that are gated at a time where all rows of a table are."""


class GateSection(Section):
    """Base of the sections of all gates; a subclass states its name as `kind: Literal["name"]`."""

    if TYPE_CHECKING:
        kind: str  # each section states its own Literal


GATES: SectionRegistry[GateSection] = SectionRegistry(
    "gate", key="kind", base="recsys.embeddings.gates.base:Gate", takes_name=True
)
"""Sections of all gates by name."""


class GateTable(NamedTuple):
    """The facts that a gate knows of its table."""

    dim: int
    """Width of an embedding, D."""
    num_groups: int
    """Number of groups of neighbouring dimensions, S, which divides `dim`."""
    block: Tensor
    """Block of each row, (R,) int64; block 0 has the most frequent ids."""
    num_blocks: int
    """Number of blocks, L."""
    feature: Tensor
    """Index of the vocabulary of each row, (R,) int64."""


class Gate(nn.Module, ABC):
    """A part of one table that a search learns; until it has learnt something, rows pass as they are, bit for bit.

    A gate draws no random numbers when it is made, so that a gated model starts as the plain one does. Gates that learn
    on training batches have parameters, which the dense optimizer trains. The values of those that learn on validation
    batches are buffers, which a schedule moves: `leaves` for `CtrTask.gradients`, then `learn`.

    Args:
        table: Facts about the table.
        options: Section of the gate.
    """

    learns_on: ClassVar[Literal["train", "valid"]]
    """The split whose batches move the gate; "train" too if nothing is learnt."""

    block: Tensor
    feature: Tensor

    def __init__(self, table: GateTable, options: GateSection) -> None:  # noqa: ARG002
        super().__init__()
        self.dim = table.dim
        self.num_groups = table.num_groups
        self.num_blocks = table.num_blocks
        self.register_buffer("block", table.block, persistent=False)
        self.register_buffer("feature", table.feature, persistent=False)

    def row_widths(self) -> list[int]:
        """Return the widths of the rows of the K physical tables."""
        return [self.dim]

    @abstractmethod
    def forward(self, rows: list[Tensor], row_V: Tensor) -> Tensor:
        """Gate the rows that were read: K x (V, d_k) and their numbers (V,) -> (V, D)."""

    # --- learning -------------------------------------------------------------------------------------------------

    def pop_loss(self) -> Tensor | None:
        """Return the regularizer () of the last step, once; None if there is none."""
        return None

    def after_step(self, step: StageStep, weights: list[Tensor]) -> None:
        """Change the rows of the K physical tables, (R, d_k), in place after a training step."""

    def leaves(self) -> list[Tensor]:
        """Return the buffers that are learnt on validation batches."""
        return []

    def learn(self, gradients: Sequence[Tensor]) -> None:
        """Move the leaves by one step, given the gradient of the validation loss for each."""
        raise NotImplementedError(f"{type(self).__name__} learns on training batches")

    # --- what was learnt ------------------------------------------------------------------------------------------

    def cut_widths(self) -> list[int]:
        """Return the widths that a search tries to cut a block to, from 0 to the whole one."""
        return [number * (self.dim // self.num_groups) for number in group_steps(self.num_groups)]

    def choose(self, column_mask: Tensor) -> Tensor:
        """Take the form in which each block keeps the columns of a mask (L, D), and return the mask that is left."""
        return column_mask

    @torch.no_grad()
    def all_rows(self, weights: Sequence[Tensor]) -> Tensor:
        """Return what the gate makes of all rows of K physical tables in evaluation: K x (R, d_k) -> (R, D)."""
        was_training = self.training
        self.eval()
        numbers = torch.split(torch.arange(len(self.block), device=self.block.device), PIECE)
        gated = [self([weight[row_V].float() for weight in weights], row_V) for row_V in numbers]
        self.train(was_training)
        return torch.cat(gated)

    @torch.no_grad()
    def importance(self, weights: Sequence[Tensor]) -> Tensor:
        """Return how much of each block and group the model sees, (L, S) >= 0: the root mean square of its gated rows.

        Not the gate alone, for a gate may shrink while rows grow and nothing changes.
        """
        square_RD = self.all_rows(weights).square()
        square_RS = square_RD.view(len(square_RD), self.num_groups, -1).mean(2)
        return block_means(square_RS, self.block, self.num_blocks).sqrt()

    def row_scores(self, weights: Sequence[Tensor]) -> Tensor | None:  # noqa: ARG002
        """Return how much speaks for keeping each row, (R,); None if the gate does not judge rows.

        A positive score keeps the row. A search that has to drop more, or fewer, takes them in the order of scores.
        """
        return None


def group_steps(num_groups: int) -> list[int]:
    """Return numbers of groups to try: all up to 4, then half and whole steps of powers of two.

    >>> group_steps(8), group_steps(20)
    ([0, 1, 2, 3, 4, 6, 8], [0, 1, 2, 3, 4, 6, 8, 12, 16, 20])
    """
    steps = [0, 1, 2, 3, *(step << k for k in range(num_groups.bit_length()) for step in (4, 6))]
    return sorted({step for step in steps if step < num_groups} | {num_groups})


def block_means(value_RS: Tensor, block_R: Tensor, num_blocks: int) -> Tensor:
    """Return the mean over the rows of each block, (L, S); 0 for a block without rows.

    >>> block_means(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 0, 2]), 3).tolist()
    [[2.0], [0.0], [5.0]]
    """
    total_LS = value_RS.new_zeros(num_blocks, value_RS.shape[1]).index_add_(0, block_R, value_RS)
    return total_LS / torch.bincount(block_R, minlength=num_blocks).clamp(min=1).unsqueeze(1)
