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
    """One physical table, and which lookups of each vocabulary read it."""

    lookups: list[list[int]]

    def __init__(self, weight: Tensor, lookups: list[list[int]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.lookups = lookups

    def forward(self, row_KV: Tensor, feature_index: int, found: list[Tensor]) -> None:
        """Put rows (V, d) in the places of `found` (K of them) that this table fills."""
        for k in self.lookups[feature_index]:
            found[k] = functional.embedding(row_KV[k], self.weight).float()


class RowReader(nn.Module):
    """The scheme's own `remap` and `combine` around plain indexing: (id_V, feature_index) -> (V, D)."""

    num_lookups: list[int]

    def __init__(self, scheme: "Scheme", weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.scheme = copy.deepcopy(scheme)
        by_feature = [
            [table.name for table in scheme.tables(feature_index)] for feature_index in range(len(scheme.vocabularies))
        ]
        self.num_lookups = [len(names) for names in by_feature]
        self.physical = nn.ModuleList(
            PhysicalRows(
                weights[t.name], [[k for k, name in enumerate(names) if name == t.name] for names in by_feature]
            )
            for t in scheme.physical_tables()
        )

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:
        row_KV = self.scheme.remap(id_V, feature_index)
        found = [row_KV for _ in range(self.num_lookups[feature_index])]
        for table in self.physical:
            table(row_KV, feature_index, found)
        combined: Tensor = self.scheme.combine(found, id_V, feature_index)
        return combined
