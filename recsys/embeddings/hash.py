"""The hashing trick: ids share a fixed number of rows.

Paper: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from recsys.config.tables import HashTable, Table
from recsys.embeddings.hashing import name_salt, salted
from recsys.embeddings.scheme import Member, PhysicalTable, Scheme

__all__ = ["Hash"]


class Hash(Scheme):
    """`rows` rows for all members together.

    Ids of a vocabulary are dense, so `id mod rows` spreads them perfectly; keys of an open vocabulary are scrambled
    under the feature's name first, since raw integers are often multiples of each other.

    Example:
        >>> from recsys.config import HashTable
        >>> table = Hash("t", [Member("item", 1000)], 4, HashTable(features=("item",), scheme="hash", rows=100))
        >>> table.remap(torch.tensor([7, 107, 8]), 0).tolist()
        [[7, 7, 8]]
    """

    sums_bags = True
    takes_open = True

    def __init__(self, name: str, members: Sequence[Member], dim: int, spec: Table) -> None:
        super().__init__(name, members, dim, spec)
        assert isinstance(spec, HashTable)
        self.rows = spec.rows
        self.is_open = [member.num_ids is None for member in members]
        self.salts = [name_salt(member.name) for member in members]
        self.first_ids = [0]
        for member in members:
            self.first_ids.append(self.first_ids[-1] + (member.num_ids or 0))

    def tables(self) -> list[PhysicalTable]:
        return [PhysicalTable(self.name, self.rows, self.dim)]

    def remap(self, id_V: Tensor, member: int) -> Tensor:
        if self.is_open[member]:
            key_V = salted(id_V, self.salts[member])
        else:
            key_V = id_V + self.first_ids[member]
        return torch.remainder(key_V, self.rows).unsqueeze(0)
