"""The hashing trick: ids share a fixed number of rows.

Paper: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from recsys.config.schemes import TableSection
from recsys.config.schemes.hash import HashTable
from recsys.embeddings.hashing import modulo_collisions, name_salt, salted
from recsys.embeddings.scheme import FeatureVocabulary, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.per_feature import per_feature, proportional_sizes

__all__ = ["Hash"]


class Hash(Scheme):
    """`rows` rows for all features together, or split between them in proportion to their vocabularies (`per_feature`).

    Ids of a vocabulary are dense, so `id mod rows` spreads them evenly, a frequent id with rare ones; keys of an open
    vocabulary are scrambled under the feature's name first, since raw integers are often multiples of each other.

    Example:
        >>> from recsys.config import HashTable
        >>> spec = HashTable(features=("item",), scheme="hash", rows=100)
        >>> table = Hash("t", [FeatureVocabulary("item", 1000)], 4, spec)
        >>> table.remap(torch.tensor([7, 107, 8]), 0).tolist()
        [[7, 7, 8]]
    """

    section = HashTable
    sums_bags = True

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, HashTable)
        assert spec.rows is not None
        self.rows = spec.rows
        self.is_scrambled = [vocabulary.num_ids is None or spec.hashing == "random" for vocabulary in vocabularies]
        self.salts = [name_salt(vocabulary.name) for vocabulary in vocabularies]
        self.first_ids = [0]
        for vocabulary in vocabularies:
            self.first_ids.append(self.first_ids[-1] + (vocabulary.num_ids or 0))

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        assert isinstance(spec, HashTable)
        if not spec.per_feature:
            return super().build(name, vocabularies, dim, spec)
        return per_feature(cls, name, vocabularies, dim, spec, sizes=proportional_sizes(spec.rows or 0, vocabularies))

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        return range(most_rows(vocabularies), 0, -1)

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return [self.table("", self.rows, self.dim)]

    def expected_id_collisions(self, feature_index: int) -> float:
        if self.is_scrambled[feature_index]:
            return super().expected_id_collisions(feature_index)
        return modulo_collisions(self.vocabularies[feature_index].size, self.rows)

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        if self.is_scrambled[feature_index]:
            key_V = salted(id_V, self.salts[feature_index])
        else:
            key_V = id_V + self.first_ids[feature_index]
        return torch.remainder(key_V, self.rows).unsqueeze(0)


def most_rows(vocabularies: Sequence[FeatureVocabulary]) -> int:
    """Return the most rows that a hashed table can use: one an id, or a terabyte's worth for open vocabularies."""
    sizes = [vocabulary.num_ids for vocabulary in vocabularies]
    return 2**40 if None in sizes else sum(size or 0 for size in sizes)
