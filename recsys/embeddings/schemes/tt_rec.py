"""A table as a tensor train: three small cores, of which each id multiplies one slice each.

Paper: Yin et al., "TT-Rec: Tensor Train Compression for Deep Learning Recommendation Models", MLSys 2021.

Dimension key: V ids, R rank, K physical lookups; p, q, s the three factors of the embedding's width.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from recsys.config.limits import rows_together
from recsys.config.schemes import TableSection
from recsys.config.schemes.tt_rec import TtRecTable
from recsys.embeddings.scheme import FeatureVocabulary, Init, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.packing import packed_tables, unpack
from recsys.embeddings.schemes.per_feature import per_feature

__all__ = ["TtRec", "width_factors", "vocabulary_factors"]

FAR_RMS = 1.589
"""Root mean square of a standard normal variable that is at least 1 away from 0."""


class TtRec(Scheme):
    """e = G0[i0] G1[i1] G2[i2]: an id is a number of three digits, lowest first, the width a product of three factors.

    Slices of a core are rows of a table. A lookup reads and writes R * R * q floats for each id: this saves memory of
    the table, not of the batch, which grows with the square of the rank.

    DIFF: in the benchmark of Zhang et al. (VLDB 2024) one of the R * R paths of the sum starts with the standard
    deviation sqrt(3 / ids), so that fresh vectors depend on the vocabulary and the rank; here they start with the usual
    one. As there, factors near 0 are never drawn.

    Example:
        >>> spec = TtRecTable(features=("item",), scheme="tt_rec", rank=8)
        >>> table = TtRec("t", [FeatureVocabulary("item", 10_131_227)], 16, spec)
        >>> [(t.rows, t.dim) for t in table.tables(0)], table.serving_bytes()
        ([(216, 16), (217, 128), (217, 32)], 152704)
    """

    section = TtRecTable
    id_collisions = "never"

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        super().__init__(name, vocabularies, dim, spec)
        assert isinstance(spec, TtRecTable)
        assert spec.rank is not None
        (vocabulary,) = vocabularies
        self.rank = spec.rank
        self.rows = vocabulary_factors(vocabulary.size)
        self.factors = width_factors(dim)
        self.widths = [spec.rank * self.factors[0], spec.rank**2 * self.factors[1], spec.rank * self.factors[2]]
        self.together = [rows_together(width) for width in self.widths]
        self.num_pieces = [len(tables) for tables in self._cores()]

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        return per_feature(cls, name, vocabularies, dim, spec)

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        return range(max(most_rank(vocabulary.size, dim) for vocabulary in vocabularies), 0, -1)

    def _cores(self) -> list[list[PhysicalTable]]:
        """Return the tables of each core."""
        init = Init("far_normal", std=(Init().std / self.rank) ** (1 / 3) / FAR_RMS)
        return [packed_tables(self, f"_core{i}", self.rows[i], self.widths[i], init) for i in range(3)]

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return [table for tables in self._cores() for table in tables]

    def _digits(self, id_V: Tensor) -> list[Tensor]:
        """Return the slice of each core."""
        rest_V = torch.div(id_V, self.rows[0], rounding_mode="floor")
        last_V = torch.div(rest_V, self.rows[1], rounding_mode="floor")
        return [torch.remainder(id_V, self.rows[0]), torch.remainder(rest_V, self.rows[1]), last_V]

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        found: list[Tensor] = []
        for i, digit_V in enumerate(self._digits(id_V)):
            row_V = torch.div(digit_V, self.together[i], rounding_mode="floor")
            for _ in range(self.num_pieces[i]):
                found.append(row_V)
        return torch.stack(found)

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        cores: list[Tensor] = []
        start = 0
        for i, digit_V in enumerate(self._digits(id_V)):
            end = start + self.num_pieces[i]
            cores.append(unpack(rows[start:end], digit_V, self.together[i]))
            start = end
        V, R = id_V.size(0), self.rank
        p, q, s = self.factors
        front_VpqR = torch.bmm(cores[0].view(V, p, R), cores[1].view(V, R, q * R)).view(V, p * q, R)
        return torch.bmm(front_VpqR, cores[2].view(V, R, s)).view(V, p * q * s)


def vocabulary_factors(num_ids: int) -> list[int]:
    """Return three factors, near each other, whose product is at least the number of ids.

    >>> vocabulary_factors(10_131_227)
    [216, 217, 217]
    """
    last = math.ceil(num_ids ** (1 / 3))
    middle = math.ceil((num_ids / last) ** 0.5)
    return [math.ceil(num_ids / last / middle), middle, last]


def width_factors(dim: int) -> list[int]:
    """Return three factors of a width, in rising order where it has such.

    >>> [width_factors(dim) for dim in (4, 16, 32, 64, 20)]
    [[1, 2, 2], [2, 2, 4], [2, 4, 4], [4, 4, 4], [2, 2, 5]]
    """
    first = max(k for k in range(1, dim + 1) if dim % k == 0 and k**3 <= dim)
    rest = dim // first
    second = max(k for k in range(1, rest + 1) if rest % k == 0 and k**2 <= rest)
    return [first, second, rest // second]


def most_rank(num_ids: int, dim: int) -> int:
    """Return the highest useful rank: above it the cores store any table, or the middle core is as large as one."""
    (a, b, c), (p, q, s) = vocabulary_factors(num_ids), width_factors(dim)
    full = max(min(a * p, b * q * c * s), min(a * p * b * q, c * s))
    return max(1, min(full, math.isqrt(num_ids * dim // (b * q))))
