"""The quotient-remainder trick: two small tables, whose rows together are different for every id.

Paper: Shi et al., "Compositional Embeddings Using Complementary Partitions for Memory-Efficient Recommendation
Systems", KDD 2020 (section 2, the trick; section 4, operations).

Dimension key: V ids, M vocabularies, C divisors.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recsys.config.schemes import TableSection
from recsys.config.schemes.qr import QrTable
from recsys.embeddings.scheme import FeatureVocabulary, Init, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.per_feature import full_if_smaller, per_feature

__all__ = ["Qr"]


class Qr(Scheme):
    """Row `id // divisor` of one table times (or plus) row `id mod divisor` of another.

    The ids of all vocabularies lie end to end and share both tables, or each vocabulary has two of its own
    (`per_feature`) under one common divisor. Vocabularies, or all of them together, whose rows would not be fewer have
    a full table.

    DIFF: with both factors drawn as usual, their product would be far smaller than any other fresh row, and learn
    slowly. Here it has the usual standard deviation: quotient rows are drawn as usual, remainder rows with a standard
    deviation of 1. Drawn around 1 instead, they would make all ids of a quotient start as one; on planted Zipf clicks
    that was behind after 1500 steps (logloss 0.505 against 0.488 at divisor 3, 0.556 against 0.526 at 11). The two
    summands of `add` have half of the usual variance each.

    Example:
        >>> from recsys.config.schemes.qr import QrTable
        >>> spec = QrTable(features=("item",), scheme="qr", divisor=10)
        >>> table = Qr("t", [FeatureVocabulary("item", 95)], 4, spec)
        >>> [t.rows for t in table.tables(0)], table.remap(torch.tensor([7, 94]), 0).tolist()
        ([10, 10], [[0, 9], [7, 4]])
    """

    section = QrTable
    id_collisions = "never"

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, QrTable)
        assert spec.divisor is not None
        self.divisor = spec.divisor
        self.multiplies = spec.operation == "mul"
        self.sums_bags = not self.multiplies
        self.first_ids = [0]
        for vocabulary in vocabularies:
            self.first_ids.append(self.first_ids[-1] + vocabulary.size)

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        assert isinstance(spec, QrTable)
        if spec.per_feature:
            return per_feature(cls, name, vocabularies, dim, spec)
        return [full_if_smaller(cls(name, vocabularies, dim, spec))]

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        """Return the divisors of which each needs fewer rows than all smaller ones."""
        assert isinstance(spec, QrTable)
        sizes = [vocabulary.size for vocabulary in vocabularies]
        num_ids_M1 = np.array(sizes if spec.per_feature else [sum(sizes)])[:, None]
        divisor_C = np.arange(1, math.isqrt(int(num_ids_M1.max())) + 2)  # beyond the root no vocabulary shrinks
        rows_C = np.minimum(num_ids_M1, -(-num_ids_M1 // divisor_C) + divisor_C).sum(axis=0)
        is_least_C = np.append(True, rows_C[1:] < np.minimum.accumulate(rows_C)[:-1])
        divisors: list[int] = divisor_C[is_least_C].tolist()
        return divisors

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        usual = Init().std
        quotient_std, remainder_std = (usual, 1.0) if self.multiplies else (usual / math.sqrt(2), usual / math.sqrt(2))
        return [
            self.table("_quotient", -(-self.first_ids[-1] // self.divisor), self.dim, Init(std=quotient_std)),
            self.table("_remainder", self.divisor, self.dim, Init(std=remainder_std)),
        ]

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        placed_V = id_V + self.first_ids[feature_index]
        quotient_V = torch.div(placed_V, self.divisor, rounding_mode="floor")
        return torch.stack([quotient_V, torch.remainder(placed_V, self.divisor)])

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        return rows[0] * rows[1] if self.multiplies else rows[0] + rows[1]
