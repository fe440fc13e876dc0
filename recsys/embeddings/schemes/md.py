"""Mixed dimensions: the larger a vocabulary, the narrower its rows, all projected to one width.

Paper: Ginart et al., "Mixed Dimension Embeddings with Application to Memory-Efficient Recommendation Systems", ISIT
2021 (widths by a power law); the sizes of vocabularies stand for their popularity.

Dimension key: V ids, W width of the stored rows, D of the embedding.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from recsys.config.limits import rows_together
from recsys.config.schemes import TableSection
from recsys.config.schemes.md import MdTable
from recsys.embeddings.scheme import FeatureVocabulary, Init, PhysicalTable, Scheme, Sizes
from recsys.embeddings.schemes.packing import packed_tables, unpack
from recsys.embeddings.schemes.per_feature import full_if_smaller

__all__ = ["Md", "row_width", "row_widths"]


class Md(Scheme):
    """Rows of W floats for one vocabulary, times a matrix (W, D).

    The widths of a table's vocabularies are D * (size / smallest size) ** -alpha, rounded to a power of two that is at
    least 1. A table of one feature is therefore never compressed. Vocabularies whose rows and projection are not
    smaller than a full table have one.

    DIFF: the width D is kept where the nearest power of two is beyond it, or D none itself. The matrix starts so that
    fresh vectors have the usual standard deviation.

    Example:
        >>> spec = MdTable(features=("user", "item"), scheme="md", alpha=0.3)
        >>> user, item = Md.build("t", [FeatureVocabulary("user", 100_000), FeatureVocabulary("item", 1000)], 16, spec)
        >>> user.tables(0)[0].dim, item.tables(0)[0].dim, user.width(0)
        (4, 16, 16)

    Args:
        name: unique in the model.
        vocabularies: one.
        dim: width of the embedding, in floats.
        spec: the table's section of the configuration.
        width: of the stored rows, in floats.
    """

    section = MdTable
    id_collisions = "never"

    def __init__(
        self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection, *, width: int
    ) -> None:
        super().__init__(name, vocabularies, dim, spec)
        (vocabulary,) = vocabularies
        self.num_ids = vocabulary.size
        self.row_width = width
        self.together = rows_together(width)
        self.sums_bags = self.together == 1
        self.projection = nn.Parameter(torch.empty(width, dim))
        nn.init.normal_(self.projection, std=width**-0.5)

    @classmethod
    def build(cls, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> list[Scheme]:
        assert isinstance(spec, MdTable)
        assert spec.alpha is not None
        widths = row_widths([vocabulary.size for vocabulary in vocabularies], dim, spec.alpha)
        return [
            full_if_smaller(cls(f"{name}/{vocabulary.name}", [vocabulary], dim, spec, width=width))
            for vocabulary, width in zip(vocabularies, widths, strict=True)
        ]

    @classmethod
    def size_candidates(cls, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> Sizes:  # noqa: ARG003
        """Return the alphas, to four decimals, at which the width of a vocabulary becomes the next smaller one."""
        widths = [row_width(w, dim) for w in range(1, dim + 1)]
        edges = [w + 0.5 for w, (below, above) in enumerate(pairwise(widths), start=1) if below < above]
        sizes = [vocabulary.size for vocabulary in vocabularies]
        falls = [math.log(dim / edge) / math.log(n / min(sizes)) for n in set(sizes) - {min(sizes)} for edge in edges]
        return [0.0, *sorted({math.floor(fall * 1e4 + 1) / 1e4 for fall in falls})]

    def tables(self, feature_index: int) -> list[PhysicalTable]:  # noqa: ARG002
        return packed_tables(self, "", self.num_ids, self.row_width, Init())

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        return torch.div(id_V, self.together, rounding_mode="floor").unsqueeze(0)

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:  # noqa: ARG002
        return unpack(rows, id_V, self.together) @ self.projection


def row_widths(sizes: Sequence[int], dim: int, alpha: float) -> list[int]:
    """Return the width of the rows of each vocabulary.

    >>> row_widths([3, 1460, 10_131_227], 16, 0.2)
    [16, 4, 1]
    """
    smallest = min(sizes)
    return [row_width(dim * (smallest / size) ** alpha, dim) for size in sizes]


def row_width(wanted: float, dim: int) -> int:
    """Return the power of two, or `dim`, that is nearest to a width in its logarithm.

    >>> [row_width(wanted, 20) for wanted in (0.1, 2.4, 2.6, 17.0, 19.0, 20.0)]
    [1, 2, 4, 16, 20, 20]
    """
    whole = max(1, round(wanted))  # rounded twice, as the benchmark of Zhang et al. (VLDB 2024) does
    choices = [*(1 << k for k in range((dim - 1).bit_length())), dim]
    return min(choices, key=lambda width: abs(math.log2(width / whole)))
