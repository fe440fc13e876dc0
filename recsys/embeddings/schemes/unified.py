"""One table for many features: each reads it under hashes of its own, the rows of one id lying side by side.

Paper: Coleman et al., "Unified Embedding: Battle-Tested Feature Representations for Web-Scale ML Systems", NeurIPS
2023 (feature multiplexing, section 3).

Dimension key: V ids, K physical lookups.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from recsys.config.schemes import TableSection
from recsys.config.schemes.unified import UnifiedTable
from recsys.embeddings.hashing import mix64, name_salt
from recsys.embeddings.scheme import FeatureVocabulary, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.hash import most_rows
from recsys.embeddings.schemes.per_feature import full_table, split_small

__all__ = ["Unified"]


class Unified(Scheme):
    """`lookups * probes` rows of a shared table for each id, hashed under the feature's name and the row's place.

    Collisions between features harm little if the first layer reads each feature by weights of its own; a tower that
    reads all features alike (fm) has none, see `recsys.config.warnings_of`. With n tables of rows / n each, the first
    row of a feature is in a table that its name chooses and the next are in those that follow; a table that no feature
    reads does not exist.

    DIFF: salted by name, where TensorFlow Recommenders salts by the order of registration, and assigned to tables by
    name: adding a feature leaves all other features' hashes unchanged. `rows` are those of all tables, not of each.
    Rows start as in all our tables (normal, std 0.01), not uniform in +-0.05.

    Example:
        >>> from recsys.config.schemes.unified import UnifiedTable
        >>> spec = UnifiedTable(features=("user", "item"), scheme="unified", rows=100, lookups={"item": 2})
        >>> both = Unified("t", [FeatureVocabulary("user", None), FeatureVocabulary("item", 1000)], 4, spec)
        >>> [both.width(i) for i in (0, 1)], both.remap(torch.tensor([7, 8]), 1).shape
        ([4, 8], torch.Size([2, 2]))
    """

    section = UnifiedTable
    sums_bags = True
    salts: list[list[int]]

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, UnifiedTable)
        assert spec.rows is not None
        assert dim % (4 * spec.probes) == 0, "checked with the configuration"
        self.lookups = [spec.num_lookups(vocabulary.name) for vocabulary in vocabularies]
        self.num_tables = spec.num_tables
        self.row_dim = dim // spec.probes
        self.rows = max(1, spec.rows * spec.probes // spec.num_tables)
        self.salts = [
            [name_salt(f"{vocabulary.name}#{place}") for place in range(lookups * spec.probes)]
            for vocabulary, lookups in zip(vocabularies, self.lookups, strict=True)
        ]

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        assert isinstance(spec, UnifiedTable)
        hashed, exact = split_small(vocabularies, spec.exact_below)
        found: list[Scheme] = [cls(name, hashed, dim, spec)] if hashed else []
        return found + [full_table(f"{name}/{m.name}", [m], spec.embedding_dim(m.name, dim), spec) for m in exact]

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        assert isinstance(spec, UnifiedTable)
        most = max((spec.num_lookups(vocabulary.name) for vocabulary in vocabularies), default=1)
        hashed, _ = split_small(vocabularies, spec.exact_below)
        return range(max(1, most * most_rows(hashed)), 0, -1)

    def tables(self, feature_index: int) -> list[PhysicalTable]:
        first = name_salt(self.vocabularies[feature_index].name)
        places = [(first + k) % self.num_tables for k in range(len(self.salts[feature_index]))]
        return [self.table(str(place) if self.num_tables > 1 else "", self.rows, self.row_dim) for place in places]

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        salt_K = torch.tensor(self.salts[feature_index], dtype=torch.int64, device=id_V.device)
        return torch.remainder(mix64(id_V.unsqueeze(0) ^ salt_K.unsqueeze(1)), self.rows)
