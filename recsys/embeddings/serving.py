"""The serving form of schemes whose trained rows are served as they are.

Dimension key: V ids, K physical lookups, D width of the embedding.
"""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from recsys.embeddings.scheme import Scheme

__all__ = ["RowReader"]


class PhysicalRows(nn.Module):
    """One physical table, and which lookups of each member read it."""

    lookups: list[list[int]]

    def __init__(self, weight: Tensor, lookups: list[list[int]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.lookups = lookups

    def forward(self, row_KV: Tensor, member: int, found: list[Tensor]) -> None:
        """Put rows (V, d) in the places of `found` (K of them) that this table fills."""
        for k in self.lookups[member]:
            found[k] = functional.embedding(row_KV[k], self.weight).float()


class RowReader(nn.Module):
    """The scheme's own `remap` and `combine` around plain indexing: (id_V, member) -> (V, D)."""

    num_lookups: list[int]

    def __init__(self, scheme: "Scheme", weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.scheme = copy.deepcopy(scheme)
        by_member = [[table.name for table in scheme.tables(member)] for member in range(len(scheme.members))]
        self.num_lookups = [len(names) for names in by_member]
        self.physical = nn.ModuleList(
            PhysicalRows(
                weights[t.name], [[k for k, name in enumerate(names) if name == t.name] for names in by_member]
            )
            for t in scheme.physical()
        )

    def forward(self, id_V: Tensor, member: int) -> Tensor:
        row_KV = self.scheme.remap(id_V, member)
        found = [row_KV for _ in range(self.num_lookups[member])]
        for table in self.physical:
            table(row_KV, member, found)
        combined: Tensor = self.scheme.combine(found, id_V, member)
        return combined
