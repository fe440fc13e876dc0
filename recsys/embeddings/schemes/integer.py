"""Rows of 8-bit or 16-bit integers, in training too: e = scale * q.

Paper: Zhang et al., "Experimental Analysis of Large-scale Learnable Vector Storage Compression", VLDB 2024 (INT8/16);
the rounding at random is that of Gupta et al., "Deep Learning with Limited Numerical Precision", 2015.

Dimension key: V ids, U rows that a step has read, each once, D width of a row.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.config.schemes import TableSection
from recsys.config.schemes.base import IntegerSection
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.embeddings.schemes.integer_table import IntegerTable

__all__ = ["Integer"]


class Integer(IntegerTable):
    """One fixed scale for the whole table; a step rounds at random, since most steps are smaller than the scale.

    There is nothing else to store: codes are a quarter or a half of the full table, whatever its budget, and the
    optimizer's moments stay floats.

    DIFF: rows are drawn from N(0, 0.01) as those of all schemes, instead of U(+-sqrt(1 / largest vocabulary)).

    Example:
        >>> from recsys.config.schemes.int8 import Int8Table
        >>> table = Integer("t", [FeatureVocabulary("item", 1000)], 4, Int8Table(features=("item",), scheme="int8"))
        >>> table.codes.dtype, table.codes.shape, table.serving_bytes()
        (torch.int8, torch.Size([1000, 4]), 4000)
    """

    section = IntegerSection

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        assert isinstance(spec, IntegerSection)
        super().__init__(name, vocabularies, dim, spec, bits=spec.bits, scale=spec.scale)
        self.scale = spec.scale

    def read(self, row_V: Tensor) -> Tensor:
        return functional.embedding(row_V, self.codes).float() * self.scale

    def move(self, row_U: Tensor, change_UD: Tensor) -> None:
        code_UD = functional.embedding(row_U, self.codes) - change_UD / self.scale
        self.codes.index_copy_(0, row_U, self.rounded(code_UD))

    def serving(self, weights: Mapping[str, Tensor]) -> nn.Module:  # noqa: ARG002
        return ScaledCodes(self.codes, self.scale, self.first_rows)


class ScaledCodes(nn.Module):
    """Integer codes (N, D) and one scale: (id_V, feature_index) -> (V, D)."""

    codes: Tensor
    scale: float
    first_rows: list[int]

    def __init__(self, codes: Tensor, scale: float, first_rows: list[int]) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.scale = scale
        self.first_rows = first_rows

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:
        row_V = id_V + self.first_rows[feature_index]
        return functional.embedding(row_V, self.codes).to(torch.float32) * self.scale
