"""Rows of a table as an exported model stores them; it reads them as 32-bit floats.

A scheme whose exported form keeps rows keeps them in a module of this file. That is how it says which of its tensors
are rows that may be stored in fewer bits; codes, codebooks and the weights of networks are not.

Dimension key: R rows of a table, V rows that are read, D width of a row.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.config.schemes.base import ServedPrecision

__all__ = ["FloatRows", "Int8Rows", "has_rows", "make_rows", "quantize_rows", "store_rows"]

CHUNK_ROWS = 2**20
"""Rows that are quantized at once, which need copies."""
HIGHEST_CODE = 255
RANGE_BYTES = 8
"""Bytes of the scale and the offset of a row."""


class FloatRows(nn.Module):
    """Rows of 32-bit or 16-bit floats: (V,) int64 -> (V, D) float32.

    Args:
        weight: the rows, (R, D); shared, not copied.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, row_V: Tensor) -> Tensor:
        return functional.embedding(row_V, self.weight).float()


class Int8Rows(nn.Module):
    """Rows of 8-bit codes, with a scale and an offset for each row: (V,) int64 -> (V, D) float32.

    A row is offset + scale * code, its codes going from 0 at its least value to 255 at its greatest, so that a value is
    off by half of the 255th part of what they differ by, at most. FBGEMM's 8-bit rows are the same.

    Args:
        weight: the rows, (R, D); copied.

    Example:
        >>> rows = Int8Rows(torch.tensor([[-1.0, 0.0, 1.55], [2.0, 2.0, 2.0]]))
        >>> rows.codes.tolist(), rows(torch.tensor([1])).tolist()
        ([[0, 100, 255], [0, 0, 0]], [[2.0, 2.0, 2.0]])
    """

    codes: Tensor
    ranges: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        codes, ranges = quantize_rows(weight)
        self.register_buffer("codes", codes)
        self.register_buffer("ranges", ranges)

    def forward(self, row_V: Tensor) -> Tensor:
        range_V2 = self.ranges.index_select(0, row_V)
        return self.codes.index_select(0, row_V).float() * range_V2[:, :1] + range_V2[:, 1:]


@torch.no_grad()
def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the codes of rows, (R, D) uint8, and the scale and offset of each, (R, 2) float32."""
    codes = torch.empty(weight.shape, dtype=torch.uint8, device=weight.device)
    ranges = torch.empty(len(weight), 2, device=weight.device)
    for part, code, scale_and_offset in zip(
        *(torch.split(tensor, CHUNK_ROWS) for tensor in (weight, codes, ranges)), strict=True
    ):
        values = part.float()
        least, greatest = values.aminmax(dim=1, keepdim=True)
        scale = (greatest - least) / HIGHEST_CODE
        steps = (values - least) / torch.where(scale > 0, scale, 1.0)
        code.copy_(steps.round_().clamp_(0, HIGHEST_CODE))
        scale_and_offset.copy_(torch.cat([scale, least], dim=1))
    return codes, ranges


def make_rows(weight: Tensor, precision: ServedPrecision) -> nn.Module:
    """Return the module that stores rows in a precision, or in fewer bits where they have fewer.

    Rows of up to 8 columns have 16-bit floats in place of codes, which with their scales would be no smaller.

    Args:
        weight: the rows, (R, D) float32 or float16.
        precision: the precision that is asked for.
    """
    if precision == "int8" and weight.shape[1] > RANGE_BYTES:
        return Int8Rows(weight)
    return FloatRows(weight if precision == "fp32" else weight.half())


def has_rows(form: nn.Module) -> bool:
    """Return whether the exported form of a scheme keeps rows that may be stored in fewer bits."""
    return any(isinstance(module, FloatRows) for module in form.modules())


def store_rows(form: nn.Module, precision: ServedPrecision) -> None:
    """Store the rows of the exported form of a scheme in a precision, in place."""
    for module in list(form.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, FloatRows):
                setattr(module, name, make_rows(child.weight.data, precision))
