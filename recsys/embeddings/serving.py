"""The exported form of schemes whose trained rows are served as they are.

Dimension key: V ids, K physical lookups, D width of the embedding.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor, nn

__all__ = ["RowReader"]


class Remapper(Protocol):
    """The part of a scheme that its exported form contains."""

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        """Map ids (V,) to row indices (K, V)."""

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:
        """Join the K rows (V, dim_k) of each id to an embedding (V, D)."""


class PhysicalRows(nn.Module):
    """The rows of one physical table, and which lookups of each feature read them."""

    lookups: list[list[int]]

    def __init__(self, rows: nn.Module, lookups: list[list[int]]) -> None:
        super().__init__()
        self.rows = rows
        self.lookups = lookups

    def forward(self, row_KV: Tensor, feature_index: int, found: list[Tensor]) -> None:
        """Write the rows (V, dim_k) of this table's lookups into `found`, a list of K."""
        for k in self.lookups[feature_index]:
            found[k] = self.rows(row_KV[k])


class RowReader(nn.Module):
    """A scheme's `remap` and `combine` around an embedding lookup: (id_V, feature_index) -> (V, D).

    Args:
        scheme: The scheme, which is copied.
        table_names: For each feature, the name of the physical table that each of its K lookups reads.
        rows: Rows of the physical tables by name, as `recsys.embeddings.rows` stores them.
    """

    num_lookups: list[int]

    def __init__(self, scheme: Remapper, table_names: Sequence[Sequence[str]], rows: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.scheme = copy.deepcopy(scheme)
        self.num_lookups = [len(names) for names in table_names]
        self.physical = nn.ModuleList(
            PhysicalRows(rows[table], [[k for k, name in enumerate(names) if name == table] for names in table_names])
            for table in dict.fromkeys(name for names in table_names for name in names)
        )

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:
        """Return the embeddings of a feature's ids, (V,) int64 -> (V, D)."""
        row_KV = self.scheme.remap(id_V, feature_index)
        found = [row_KV for _ in range(self.num_lookups[feature_index])]
        for table in self.physical:
            table(row_KV, feature_index, found)
        return self.scheme.combine(found, id_V, feature_index)
