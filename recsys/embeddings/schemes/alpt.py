"""Integer rows, each with a scale that is learnt: adaptive low-precision training.

    1. the step of the rows: w' = scale * q - step, kept in floats for the rows of the batch
    2. a second pass over the batch with scale * clip(round(w' / scale)): the gradient of the scales, and their step
    3. q = w' / new scale, rounded at random

Paper: Li et al., "Adaptive Low-Precision Training for Embeddings in Click-Through Rate Prediction", AAAI 2023.

Dimension key: V ids, U rows that a step has read, each once, D width of a row.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.config import SparseOptimizer
from recsys.config.schemes import TableSection
from recsys.config.schemes.alpt import AlptTable
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.embeddings.schemes.integer_table import IntegerTable
from recsys.embeddings.schemes.row_optimizer import RowOptimizer

__all__ = ["Alpt", "LearntStep"]

LEAST_SCALE = 1e-8
"""A scale of 0 would make all of its row 0, and divide by 0."""


class Moved(NamedTuple):
    """Rows between the two passes of a step, those that any rank has read; the same on every rank."""

    rows: Tensor
    """(U,) int64, ascending."""
    values: Tensor
    """(U, D) float32, after the optimizer's step."""


class Alpt(IntegerTable):
    """Codes (N, D) and scales (N, 1), each row's scale trained by a second pass over every batch.

    The scales have an optimizer of their own, of the kind that the rows have, with the rate `scale_lr`; their gradient
    is multiplied by 1 / sqrt(B D (2^(bits - 1) - 1)), B being the rows of the batch, as in the benchmark of Zhang et
    al. (VLDB 2024). The other parameters of the second pass are those after their step, and dropout draws anew.

    DIFF: a scale stays above 1e-8.

    Example:
        >>> table = Alpt("t", [FeatureVocabulary("item", 1000)], 16, AlptTable(features=("item",), scheme="alpt"))
        >>> table.serving_bytes() / (4 * 16 * 1000)
        0.3125
    """

    section = AlptTable
    scales: Tensor

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        assert isinstance(spec, AlptTable)
        super().__init__(name, vocabularies, dim, spec, bits=spec.bits, scale=spec.scale)
        self.scale_lr = spec.scale_lr
        self.low, self.high = -(2 ** (spec.bits - 1)), 2 ** (spec.bits - 1) - 1
        self.register_buffer("scales", torch.full((self.num_rows, 1), spec.scale))
        self.scale_optimizer: RowOptimizer | None = None
        self._moved: Moved | None = None
        self._leaf_U1: Tensor | None = None  # scales of the rows that have moved, while the second pass runs

    def read(self, row_V: Tensor) -> Tensor:
        return functional.embedding(row_V, self.codes) * functional.embedding(row_V, self.scales)

    def move(self, row_U: Tensor, change_UD: Tensor) -> None:
        assert self._moved is None, f"{self.name}: the step before has not been finished"
        self._moved = Moved(row_U, self.read(row_U) - change_UD)

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:
        if self._moved is None or self._leaf_U1 is None:
            return super().combine(rows, id_V, feature_index)
        row_V = id_V + self.first_rows[feature_index]
        place_V = torch.searchsorted(self._moved.rows, row_V).clamp(max=len(self._moved.rows) - 1)
        value_VD = functional.embedding(place_V, self._moved.values)
        scale_V1 = functional.embedding(place_V, self._leaf_U1)
        rounded_VD: Tensor = LearntStep.apply(value_VD, scale_V1, self.low, self.high)  # type: ignore[no-untyped-call]
        has_moved_V = self._moved.rows[place_V] == row_V
        if has_moved_V.all():
            return rounded_VD
        return torch.where(has_moved_V.unsqueeze(1), rounded_VD, self.read(row_V))  # not if a tower ignored a field

    def gradient_leaves(self) -> list[Tensor]:
        if self._moved is None:
            return []
        self._leaf_U1 = functional.embedding(self._moved.rows, self.scales).requires_grad_()
        return [self._leaf_U1]

    @torch.no_grad()
    def apply_gradients(self, gradients: list[Tensor], num_rows: int) -> None:
        assert self._moved is not None
        assert self.scale_optimizer is not None
        row_U, value_UD = self._moved
        gradient_U1 = gradients[0] / math.sqrt(num_rows * self.dim * self.high)
        step_U1 = self.scale_optimizer(row_U, gradient_U1)
        scale_U1 = (functional.embedding(row_U, self.scales) - step_U1).clamp_(min=LEAST_SCALE)
        self.scales.index_copy_(0, row_U, scale_U1)
        self.codes.index_copy_(0, row_U, self.rounded(value_UD / scale_U1))
        self._moved = self._leaf_U1 = None

    def use_optimizer(self, optimizer: SparseOptimizer) -> None:
        super().use_optimizer(optimizer)
        of_scales = optimizer.model_copy(update={"lr": self.scale_lr})
        self.scale_optimizer = RowOptimizer(of_scales, num_rows=self.num_rows, dim=1)

    def updated_dims(self) -> list[int]:
        return [self.dim, 1]

    def serving_bytes(self) -> int:
        return super().serving_bytes() + 4 * self.num_rows

    def serving(self, weights: Mapping[str, Tensor]) -> nn.Module:  # noqa: ARG002
        return CodesAndScales(self.codes, self.scales, self.first_rows)


class LearntStep(torch.autograd.Function):
    """scale * clip(round(value / scale)), with the derivative by the scale of learned step sizes (LSQ).

    It is low or high where value / scale is clipped, and round(v) - v of v = value / scale between; values get none.

    Shape:
        value_VD: (V, D).
        scale_V1: (V, 1).
        output: (V, D).
    """

    @staticmethod
    def forward(ctx: Any, value_VD: Tensor, scale_V1: Tensor, low: int, high: int) -> Tensor:
        ratio_VD = value_VD / scale_V1
        code_VD = ratio_VD.round().clamp_(low, high)
        slope_VD = code_VD - ratio_VD.masked_fill((ratio_VD <= low) | (ratio_VD >= high), 0.0)
        ctx.save_for_backward(slope_VD)
        return scale_V1 * code_VD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None, None]:
        (slope_VD,) = ctx.saved_tensors
        return None, (gradients[0] * slope_VD).sum(dim=1, keepdim=True), None, None


class CodesAndScales(nn.Module):
    """Integer codes (N, D) and a scale (N, 1) for each row: (id_V, feature_index) -> (V, D)."""

    codes: Tensor
    scales: Tensor
    first_rows: list[int]

    def __init__(self, codes: Tensor, scales: Tensor, first_rows: list[int]) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)
        self.first_rows = first_rows

    def forward(self, id_V: Tensor, feature_index: int) -> Tensor:
        row_V = id_V + self.first_rows[feature_index]
        return functional.embedding(row_V, self.codes) * functional.embedding(row_V, self.scales)
