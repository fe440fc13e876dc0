"""OptEmbed: rows that are smaller than a learnt threshold are zero, and the others are cut to random prefixes.

Paper: Lyu et al., "OptEmbed: Learning Optimal Embedding Table for Click-through Rate Prediction", CIKM 2022
(arXiv 2208.04482), phase 1.

Dimension key: R rows of the table, V rows that are read, D width, F vocabularies of the table.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from recsys.config.limits import Step
from recsys.embeddings.gates.base import Gate, GateSection, GateTable
from recsys.embeddings.gates.decay import decay_rows
from recsys.embeddings.gates.prefixes import RandomPrefixes
from recsys.embeddings.scheme import StageStep

__all__ = ["OptEmbed", "OptEmbedGate", "open_if_positive", "slope"]


WARM_UP_SHARE = 0.25
"""Most of a training that is warm-up."""


class OptEmbedGate(GateSection):
    """Learnt thresholds of rows and random prefixes of widths (OptEmbed, Lyu et al. 2022)."""

    implementation = "recsys.embeddings.gates.optembed:OptEmbed"

    kind: Literal["optembed"]
    mode: Literal["all", "rows", "widths"] = "all"
    """Parts of the method: thresholds of rows, random widths, or both."""
    thresholds: Literal["feature", "row"] = "feature"
    """Rows that share a threshold: those of a feature, or none."""
    norm: Literal["l1", "l2"] = "l1"
    """Size of a row that its threshold is compared with."""
    alpha: Annotated[float, Field(ge=0, le=10**6)] = 3e-3
    """Factor of the regularizer, the sum of exp(-threshold): what rows near the threshold must save of the loss."""
    threshold: Annotated[float, Field(ge=-(10**6), le=10**6)] = 0.0
    """Value of the thresholds at first."""
    half_life: Step | None = 2.0
    """Epochs in which a row that is not read loses half of its size; null for no decay."""
    warm_up: Annotated[float, Field(ge=0, le=10**6)] = 5.0
    """Epochs before thresholds are compared with rows, and learn; at most `WARM_UP_SHARE` of the training."""
    widths: Literal["groups", "all"] = "groups"
    """Widths to draw from: whole groups of dimensions, or 1, 2, 3, ... up to dim as in the paper."""


class OptEmbed(Gate):
    """Rows whose norm is above a threshold pass, cut to a random width while training; the others are zero.

    The norm is that of the whole row, so that whether a row passes does not depend on the width that is drawn. A row
    that is zero may return: the step function has a slope near its edge (`slope`), which reaches the row and the
    threshold.

    DIFF: the paper trains the thresholds by SGD, which hardly moves them (by some 1e-8 a step), so that rows are pruned
    by the L2 penalty of a dense Adam, which also shrinks rows that no batch reads. Here thresholds are trained by
    the dense optimizer of the model. A fused sparse optimizer does not decay rows, so all of them are shrunk
    after steps, decoupled from the optimizer, by `half_life`. A pruned row is the zero vector; there is no learnt one.
    DIFF: thresholds wait until rows have learnt something (`warm_up`). Rows that a penalty keeps small are all below
    them at first, whatever they are worth later, and hardly return: on MovieLens-1M five of six users were lost so.
    """

    is_warming_up: Tensor

    learns_on = "train"

    def __init__(self, table: GateTable, options: GateSection) -> None:
        super().__init__(table, options)
        assert isinstance(options, OptEmbedGate)
        self.options = options
        self.prefixes = RandomPrefixes(candidate_widths(table, options), table.dim)
        self.was_read = False
        self.register_buffer("is_warming_up", torch.tensor(options.warm_up > 0))
        if options.mode != "widths":
            count = len(table.feature) if options.thresholds == "row" else int(table.feature.max()) + 1
            self.threshold = nn.Parameter(torch.full((count,), options.threshold))

    def forward(self, rows: list[Tensor], row_V: Tensor) -> Tensor:
        (gated_VD,) = rows
        if self.options.mode != "widths":
            open_V = open_if_positive(self.excess(rows[0], row_V)).masked_fill(self.is_warming_up, 1.0)
            gated_VD = gated_VD * open_V.unsqueeze(1)
            self.was_read |= len(row_V) > 0
        if self.options.mode != "rows" and self.training:
            gated_VD = gated_VD * self.prefixes(row_V)
        return gated_VD

    def excess(self, row_Vd: Tensor, row_V: Tensor) -> Tensor:
        """Return by how much the norm of each row exceeds its threshold: (V,)."""
        order = 1 if self.options.norm == "l1" else 2
        place_V = row_V if self.options.thresholds == "row" else self.feature[row_V]
        size_V: Tensor = torch.linalg.vector_norm(row_Vd, ord=order, dim=1)
        return size_V - self.threshold[place_V]

    # --- learning -------------------------------------------------------------------------------------------------

    def pop_loss(self) -> Tensor | None:
        """Return alpha times the sum of exp(-t) over all thresholds; 0 if no row was read, as on a rank without any."""
        if self.options.mode == "widths":
            return None
        was_read, self.was_read = self.was_read, False
        return self.options.alpha * was_read * torch.exp(-self.threshold).sum() * ~self.is_warming_up

    def after_step(self, step: StageStep, weights: list[Tensor]) -> None:
        if self.options.mode != "widths" and self.options.half_life is not None:
            decay_rows(weights, step, half_life=self.options.half_life)
        warm_up = min(self.options.warm_up * step.steps_per_epoch, WARM_UP_SHARE * step.num_steps)
        self.is_warming_up.fill_(step.step < warm_up)

    # --- what was learnt ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def row_scores(self, weights: Sequence[Tensor]) -> Tensor | None:
        if self.options.mode == "widths":
            return None
        (weight_Rd,) = weights
        return self.excess(weight_Rd.float(), torch.arange(len(weight_Rd), device=weight_Rd.device))


def candidate_widths(table: GateTable, options: OptEmbedGate) -> list[int]:
    """Return the widths that are drawn from, rising up to the whole row."""
    step = 1 if options.widths == "all" else table.dim // table.num_groups
    return list(range(step, table.dim + 1, step))


def open_if_positive(excess: Tensor) -> Tensor:
    """Return 1 where a value is above 0, else 0, with the gradient of `slope`.

    >>> open_if_positive(torch.tensor([-0.5, 0.0, 0.5])).tolist()
    [0.0, 0.0, 1.0]
    """
    opened: Tensor = _StepFunction.apply(excess)  # type: ignore[no-untyped-call]
    return opened


def slope(excess: Tensor) -> Tensor:
    """Return what stands for the derivative of the step function: a long-tailed triangle.

    >>> slope(torch.tensor([0.0, 0.25, -0.25, 0.5, 1.5])).mul(10).round().tolist()
    [20.0, 10.0, 10.0, 4.0, 0.0]
    """
    size = excess.abs()
    return torch.where(size <= 0.4, 2 - 4 * size, torch.where(size <= 1, 0.4, 0.0))


class _StepFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, excess: Tensor) -> Tensor:
        ctx.save_for_backward(excess)
        return (excess > 0).to(excess.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (excess,) = ctx.saved_tensors
        return gradient * slope(excess)
