"""The contract of an embedding scheme: how ids become rows of physical tables, and rows become a vector.

    ids --remap--> row indices --look up (TorchRec)--> rows --combine--> vectors

`remap` has no parameters and runs in the reader's thread; the exported graph runs the same code. Everything that
is differentiable and not a row belongs to `combine`.

Dimension key: V ids, K physical lookups, D width of the embedding.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from recsys.config.tables import Table

__all__ = ["Member", "Phase", "PhysicalTable", "Scheme"]

Phase = Literal["training", "checkpoint", "serving"]

STATE_FLOATS = {"rowwise_adagrad": (1, 0), "adagrad": (0, 1), "sgd": (0, 0), "adam": (0, 2)}
"""Optimiser state in floats: (for each row, for each weight)."""


class PhysicalTable(NamedTuple):
    """A table that TorchRec stores, shards and updates."""

    name: str
    rows: int
    dim: int


class Member(NamedTuple):
    """A vocabulary whose ids a logical table holds."""

    name: str
    """The field that owns the vocabulary."""
    num_ids: int | None
    """Ids are 0 .. num_ids - 1, 0 is unknown; None: any int64 key (open vocabulary)."""


class Scheme(nn.Module, ABC):
    """One logical table.

    Args:
        name: prefix of the physical tables.
        members: the vocabularies it holds, in order.
        dim: width of the embedding, in floats.
        spec: the table's section of the configuration.
    """

    sums_bags: ClassVar[bool]
    """`combine` commutes with summing, so the kernel may sum the rows of a bag before it."""
    takes_open: ClassVar[bool]
    """Can hold ids that have no vocabulary."""

    def __init__(self, name: str, members: Sequence[Member], dim: int, spec: Table) -> None:
        super().__init__()
        self.name = name
        self.members = tuple(members)
        self.dim = dim
        self.spec = spec

    @abstractmethod
    def tables(self) -> list[PhysicalTable]:
        """Return the table of each physical lookup; K entries, repeated names are one table."""

    @abstractmethod
    def remap(self, id_V: Tensor, member: int) -> Tensor:
        """Map int64 ids (V,) of a member to row indices (K, V) of `tables()`."""

    def combine(self, rows: list[Tensor], id_V: Tensor, member: int) -> Tensor:  # noqa: ARG002
        """Join the K looked-up rows (V, dim_k) of each id to an embedding (V, D). By default: concatenate.

        `id_V` is empty where bags were summed by the kernel, which happens only if `sums_bags`.
        """
        return rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)

    def bytes(self, phase: Phase, *, optimizer: str) -> int:
        """Bytes of weights and maps, and while training or in a checkpoint of the optimiser's state too."""
        tables = set(self.tables())
        weights = sum(table.rows * table.dim for table in tables)
        by_row, by_weight = STATE_FLOATS[optimizer]
        state = sum(table.rows * by_row for table in tables) + weights * by_weight
        own = sum(t.numel() * t.element_size() for t in (*self.parameters(), *self.buffers()))
        return 4 * weights + own + (0 if phase == "serving" else 4 * state)
