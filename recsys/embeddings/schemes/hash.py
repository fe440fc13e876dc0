"""The hashing trick: ids share a fixed number of rows.

Paper: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from recsys.config.tables import HashTable, Table
from recsys.embeddings.hashing import modulo_collisions, name_salt, salted
from recsys.embeddings.scheme import Member, PhysicalTable, Scheme, Settings
from recsys.embeddings.schemes.per_feature import separate, shares

__all__ = ["Hash"]


class Hash(Scheme):
    """`rows` rows for all members together, or dealt to them in proportion to their vocabularies (`separate`).

    Ids of a vocabulary are dense, so `id mod rows` spreads them evenly, a frequent id with rare ones; keys of an open
    vocabulary are scrambled under the feature's name first, since raw integers are often multiples of each other.

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
        assert spec.rows is not None
        self.rows = spec.rows
        self.is_scrambled = [member.num_ids is None or spec.hashing == "random" for member in members]
        self.salts = [name_salt(member.name) for member in members]
        self.first_ids = [0]
        for member in members:
            self.first_ids.append(self.first_ids[-1] + (member.num_ids or 0))

    @classmethod
    def parts(cls, name: str, members: Sequence[Member], dim: int, spec: Table) -> list[Scheme]:
        assert isinstance(spec, HashTable)
        if not spec.separate:
            return super().parts(name, members, dim, spec)
        return separate(cls, name, members, dim, spec, sizes=shares(spec.rows or 0, members))

    @classmethod
    def settings(cls, members: Sequence[Member], dim: int, spec: Table) -> Settings:  # noqa: ARG003
        return range(most_rows(members), 0, -1)

    def tables(self, member: int) -> list[PhysicalTable]:  # noqa: ARG002
        return [self.table("", self.rows, self.dim)]

    def expected_merged(self, member: int) -> float:
        if self.is_scrambled[member]:
            return super().expected_merged(member)
        return modulo_collisions(self.members[member].size, self.rows)

    def remap(self, id_V: Tensor, member: int) -> Tensor:
        if self.is_scrambled[member]:
            key_V = salted(id_V, self.salts[member])
        else:
            key_V = id_V + self.first_ids[member]
        return torch.remainder(key_V, self.rows).unsqueeze(0)


def most_rows(members: Sequence[Member]) -> int:
    """Return the most rows that a hashed table can use: one an id, or a terabyte's worth for open vocabularies."""
    sizes = [member.num_ids for member in members]
    return 2**40 if None in sizes else sum(size or 0 for size in sizes)
