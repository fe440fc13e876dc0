"""Several hashed rows for each id, summed: ids that share one row hardly ever share all.

Paper: Svenstrup, Hansen, Winther, "Hash Embeddings for Efficient Word Representations", NeurIPS 2017.

Dimension key: V ids, K physical lookups, J hashes, D width of the embedding.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from recsys.config.schemes import TableSection
from recsys.config.schemes.multi_hash import MultiHashTable
from recsys.embeddings.hashing import expected_collisions, mix64, name_salt
from recsys.embeddings.scheme import FeatureVocabulary, Init, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.hash import most_rows
from recsys.embeddings.schemes.per_feature import full_if_smaller, full_table, proportional_sizes, split_small

__all__ = ["MultiHash"]

IMPORTANCE_DIM = 4
"""Weights of one id: as many as FBGEMM reads at least, of which `hashes` are used."""


class MultiHash(Scheme):
    """The sum of `hashes` rows of one pool; weighted by an importance row of the id if there are `importance_rows`.

    Importance rows are hashed too, so an id may share its weights with others. They start near 1, where the weighted
    sum is that without weights.

    DIFF: the pool is shared by all features, salted by name, unless `per_feature`. Each hash reads the id itself; the
    paper first hashes ids to the buckets of the importance table, and ids of one bucket then agree in all. The weights
    are not appended to the embedding. Weights start at 1, where the paper's code draws them near 0. Rows are drawn as
    those of all schemes (standard deviation 0.01), so that a fresh embedding is sqrt(hashes) times as large.

    Example:
        >>> spec = MultiHashTable(features=("item",), scheme="multi_hash", rows=100, hashes=3, importance_rows=50)
        >>> table = MultiHash("t", [FeatureVocabulary("item", None)], 8, spec)
        >>> [(t.rows, t.dim) for t in table.physical_tables()], table.remap(torch.tensor([7, 8]), 0).shape
        ([(100, 8), (50, 4)], torch.Size([4, 2]))
    """

    section = MultiHashTable
    moduli: list[int]
    salts: list[list[int]]

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, MultiHashTable)
        assert spec.rows is not None
        self.rows, self.hashes, self.importance_rows = spec.rows, spec.hashes, spec.importance_rows
        self.sums_bags = not self.importance_rows  # weights differ from id to id of a bag
        self.moduli = [self.rows] * self.hashes + [self.importance_rows] * bool(self.importance_rows)
        self.salts = [
            [name_salt(f"{vocabulary.name}#{k}") for k in range(len(self.moduli))] for vocabulary in vocabularies
        ]

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        assert isinstance(spec, MultiHashTable)
        hashed, exact = split_small(vocabularies, spec.exact_below)
        found: list[Scheme] = []
        if spec.per_feature:
            rows = proportional_sizes(spec.rows or 0, hashed)
            importance_rows = proportional_sizes(spec.importance_rows, hashed)
            for i, vocabulary in enumerate(hashed):
                own = {"rows": rows[i], "importance_rows": importance_rows[i] if spec.importance_rows else 0}
                found.append(full_if_smaller(cls.for_feature(name, vocabulary, dim, spec.model_copy(update=own))))
        elif hashed:
            found = super().build(name, hashed, dim, spec)
        return found + [full_table(f"{name}/{vocabulary.name}", [vocabulary], dim, spec) for vocabulary in exact]

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        assert isinstance(spec, MultiHashTable)
        hashed, _ = split_small(vocabularies, spec.exact_below)
        return range(max(1, most_rows(hashed)), 0, -1)

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        found = [self.table("", self.rows, self.dim)] * self.hashes
        if self.importance_rows:
            found.append(self.table("importance", self.importance_rows, IMPORTANCE_DIM, Init(mean=1.0)))
        return found

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        salt_K = torch.tensor(self.salts[feature_index], dtype=torch.int64, device=id_V.device)
        modulus_K = torch.tensor(self.moduli, dtype=torch.int64, device=id_V.device)
        return torch.remainder(mix64(id_V.unsqueeze(0) ^ salt_K.unsqueeze(1)), modulus_K.unsqueeze(1))

    def lookup_positions(self, id_V: Tensor, feature_index: int) -> Tensor:
        row_KV = self.remap(id_V, feature_index)
        return row_KV if self.importance_rows else row_KV.sort(dim=0).values  # a sum has no order

    def expected_id_collisions(self, feature_index: int) -> float:
        orders = 0.0 if self.importance_rows else math.lgamma(self.hashes + 1)
        log_buckets = sum(math.log(table.rows) for table in self.tables(feature_index)) - orders
        return expected_collisions(self.vocabularies[feature_index].size, log_buckets)

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        """Sum J rows (V, D), weighted by the importance row (V, 4) that follows them if there is one."""
        row_VJD = torch.stack(rows[: self.hashes], dim=1)
        if self.importance_rows > 0:
            row_VJD = row_VJD * rows[self.hashes][:, : self.hashes].unsqueeze(2)
        return row_VJD.sum(dim=1)
