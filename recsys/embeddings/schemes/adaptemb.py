"""Frequent ids keep rows of their own, all others are hashed.

Paper: "adaptive embedding", as in the benchmark of Zhang et al., "Experimental Analysis of Large-Scale Learnable Vector
Storage Compression", VLDB 2024.

Dimension key: V ids.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from recsys.config.schemes import TableSection
from recsys.config.schemes.adaptemb import AdaptEmbTable
from recsys.embeddings.hashing import modulo_collisions
from recsys.embeddings.scheme import FeatureVocabulary, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.per_feature import per_feature

__all__ = ["AdaptEmb"]

DECADES = 6
"""The smallest rate is 10 ** -DECADES."""


class AdaptEmb(Scheme):
    """Rows of one vocabulary, ceil(rate * ids): the first for its frequent ids, the rest shared by `rank mod rest`.

    DIFF: needs no map from ids to rows, which would cost a word for each id: ids are in the order of their frequency.
    Only where they are not, as in listed vocabularies, the ranks are stored, and counted. Without `hot`, half of the
    rows are for frequent ids. Vocabularies whose table would not be smaller have a full
    table.

    Example:
        >>> spec = AdaptEmbTable(features=("item",), scheme="adaptemb", rate=0.1, hot=0.05)
        >>> table = AdaptEmb("t", [FeatureVocabulary("item", 100)], 4, spec)
        >>> table.tables(0)[0].rows, table.remap(torch.tensor([0, 4, 5, 9, 10, 99]), 0).tolist()
        (10, [[0, 4, 5, 9, 5, 9]])
    """

    section = AdaptEmbTable
    sums_bags = True
    ranks: Tensor | None

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        assert isinstance(spec, AdaptEmbTable)
        assert spec.rate is not None
        (vocabulary,) = vocabularies
        # Without its ranks: the exported form must not hold them twice.
        super().__init__(name, [vocabulary._replace(ranks=None)], dim, spec)
        self.rows = math.ceil(vocabulary.size * spec.rate)
        self.num_hot = self.rows // 2 if spec.hot is None else math.floor(vocabulary.size * spec.hot)
        self.register_buffer("ranks", None if vocabulary.ranks is None else vocabulary.ranks.to(torch.int32))

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        return per_feature(cls, name, vocabularies, dim, spec)

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        """Return the rates of four digits above `hot`."""
        assert isinstance(spec, AdaptEmbTable)
        rates = [digits / 10 ** (4 + decade) for decade in range(DECADES) for digits in range(9999, 999, -1)]
        return [rate for rate in (1.0, *rates) if rate > (spec.hot or 0.0)]

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return [self.table("", self.rows, self.dim)]

    def expected_id_collisions(self, feature_index: int) -> float:
        return modulo_collisions(self.vocabularies[feature_index].size - self.num_hot, self.rows - self.num_hot)

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        ranks = self.ranks
        rank_V = id_V if ranks is None else ranks.to(id_V.device)[id_V].long()
        shared_V = self.num_hot + torch.remainder(rank_V - self.num_hot, self.rows - self.num_hot)
        return torch.where(rank_V < self.num_hot, rank_V, shared_V).unsqueeze(0)
