"""A full table behind a gate: the scheme of a search's supernet.

It is named by its import path, `scheme: recsys.embeddings.gates.gated:Gated`, as a user's own class is, so that the
folder of a supernet can be loaded as that of any run.

Dimension key: R rows of the table, V ids, D width, L blocks of rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from recsys.config.limits import Count
from recsys.config.problems import KeyPath
from recsys.config.schemes import TableSection
from recsys.config.schemes.base import RowPrecision
from recsys.config.schemes.full import FullTable
from recsys.embeddings.gates.base import GATES, Gate, GateSection, GateTable
from recsys.embeddings.scheme import CollisionCause, FeatureVocabulary, PhysicalTable, StageStep
from recsys.embeddings.schemes.full import Full

__all__ = ["GATED", "Gated", "GatedTable"]

GATED = "recsys.embeddings.gates.gated:Gated"
"""Name of the scheme in a configuration."""
GROUP = 4
"""Dimensions of a group, unless `groups` is given: what FBGEMM reads at once."""


class GatedTable(TableSection):
    """One row for each id, behind a gate that a search learns."""

    implementation: ClassVar[str | type] = GATED
    needs_whole_tables: ClassVar[bool] = True

    scheme: Literal["gated"]
    gate: Annotated[GateSection, GATES]
    """The gate: its name, or a mapping with its name as `kind` and its options."""
    blocks: tuple[Count, ...] = ()
    """Ranks by training frequency at which a block of ids ends and the next begins; () for a single block. Every
    vocabulary of the table is cut at the same ranks."""
    groups: Annotated[int, Field(ge=1)] | None = None
    """Number of groups of neighbouring dimensions, which divides dim; dim / 4 when not given."""
    found_precision: RowPrecision = "fp32"
    """Precision in which the rows of the plain table that it becomes are served."""

    @model_validator(mode="after")
    def _blocks_have_ids(self) -> Self:
        if any(first >= second for first, second in pairwise(self.blocks)):
            raise ValueError(f"blocks must rise, got {list(self.blocks)}")
        return self

    def check_dim(self, dim: int) -> Iterator[tuple[KeyPath, str]]:
        if dim % self.num_groups(dim):
            yield ("groups",), f"must divide dim ({dim}), got {self.groups}"

    def num_groups(self, dim: int) -> int:
        """Return the number of groups of a table whose width is `dim`."""
        return self.groups or dim // GROUP


class Gated(Full):
    """A row for each id, gated, times a mask of columns for each block of ids and a mask of rows.

    Both masks are ones while the gate learns; a search sets them to score what it might keep (`set_masks`). What is
    served is the product: a plain table. Ids of a list are read one by one, where a plain table lets the kernel sum
    them: the same sum, rounded in another order.
    """

    section: ClassVar[type[TableSection]] = GatedTable
    sums_bags = False
    id_collisions: ClassVar[CollisionCause] = "by_training"

    column_mask: Tensor
    row_mask: Tensor

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, GatedTable)
        num_blocks = len(spec.blocks) + 1
        block_R, feature_R = blocks_of(vocabularies, spec.blocks), owners(vocabularies)
        table = GateTable(dim, spec.num_groups(dim), block_R, num_blocks, feature_R)
        kind = GATES.implementation(spec.gate, Gate, where=f"tables.{name}.gate")  # type: ignore[type-abstract]
        self.gate = kind(table, spec.gate)
        self.found_precision = spec.found_precision
        self.register_buffer("column_mask", torch.ones(num_blocks, dim))
        self.register_buffer("row_mask", torch.ones(self.first_rows[-1]))

    # --- lookup ---------------------------------------------------------------------------------------------------

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        """Return one table for each width; that of the embedding's own width has the name that it has without gate."""
        widths = self.gate.row_widths()
        return [self.table("" if width == self.dim else f"_{width}", self.first_rows[-1], width) for width in widths]

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        return (id_V + self.first_rows[feature_index]).expand(len(self.gate.row_widths()), -1)

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:
        row_V = id_V + self.first_rows[feature_index]
        gated_VD: Tensor = self.gate(rows, row_V)
        return gated_VD * self.column_mask[self.gate.block[row_V]] * self.row_mask[row_V].unsqueeze(1)

    # --- training -------------------------------------------------------------------------------------------------

    def pop_aux_loss(self) -> Tensor | None:
        return self.gate.pop_loss()

    @torch.no_grad()
    def after_step(self, step: StageStep, weights: Mapping[str, Tensor]) -> None:
        self.gate.after_step(step, self._own(weights))

    # --- what a search asks ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def set_masks(self, column_mask: Tensor, row_mask: Tensor) -> None:
        """Score or train with what is left of the table: 0/1 masks of the columns of each block, and of the rows.

        Args:
            column_mask: (L, D).
            row_mask: (R,).
        """
        self.column_mask.copy_(self.gate.choose(column_mask))
        self.row_mask.copy_(row_mask)

    def importance(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Return the importance of each block and group of dimensions, by the rule of the gate: (L, S) >= 0."""
        return self.gate.importance(self._own(weights))

    def row_scores(self, weights: Mapping[str, Tensor]) -> Tensor | None:
        """Return how much speaks for keeping each row, (R,), see `Gate.row_scores`; None if none is judged."""
        return self.gate.row_scores(self._own(weights))

    def kept_rows(self, weights: Mapping[str, Tensor]) -> Tensor | None:
        """Return the rows that the gate would keep, (R,) bool; None if it does not judge rows."""
        scores_R = self.row_scores(weights)
        return None if scores_R is None else scores_R > 0

    @torch.no_grad()
    def gated_rows(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Return every row as the model sees it in evaluation, masks included: (R, D) float32."""
        mask_RD = self.column_mask[self.gate.block].mul_(self.row_mask.unsqueeze(1))
        return mask_RD.mul_(self.gate.all_rows(self._own(weights)))

    def _own(self, weights: Mapping[str, Tensor]) -> list[Tensor]:
        return [weights[table.name] for table in self.tables(0)]

    # --- serving --------------------------------------------------------------------------------------------------

    def serving(self, weights: Mapping[str, Tensor]) -> nn.Module:
        """Return a plain table of the gated rows."""
        plain = Full(self.name, self.vocabularies, self.dim, FullTable(features=self.spec.features))
        (table,) = plain.physical_tables()
        return plain.serving({table.name: self.gated_rows(weights)})

    def serving_bytes(self) -> int:
        return 4 * self.first_rows[-1] * self.dim


def blocks_of(vocabularies: Sequence[FeatureVocabulary], ends: Sequence[int]) -> Tensor:
    """Return the block of each row by its training frequency, (R,): the number of ends that its rank has reached.

    >>> blocks_of([FeatureVocabulary("user", 4), FeatureVocabulary("item", 2, torch.tensor([1, 0]))], [1, 2]).tolist()
    [0, 1, 2, 2, 1, 0]
    """
    ranks = [torch.arange(one.size) if one.ranks is None else one.ranks for one in vocabularies]
    return torch.bucketize(torch.cat(ranks), torch.tensor(ends, dtype=torch.int64), right=True)


def owners(vocabularies: Sequence[FeatureVocabulary]) -> Tensor:
    """Return the index of the vocabulary of each row, (R,).

    >>> owners([FeatureVocabulary("user", 1), FeatureVocabulary("item", 2)]).tolist()
    [0, 1, 1]
    """
    return torch.repeat_interleave(torch.tensor([one.size for one in vocabularies]))
