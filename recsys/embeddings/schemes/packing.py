"""Rows of widths that FBGEMM cannot read: narrow ones share a physical row, wide ones are cut into several tables.

The kernel reads widths that are multiples of 4. Rows of any other width lie side by side, as few as make one: a row of
width 1 shares a physical row with 3 others, its neighbours in the order of frequency, so that the optimizer's state
of the row stays meaningful. Above 1024 floats the kernel is wrong on CUDA (pytorch/torchrec issue 3673), and its
row-wise Adagrad crashes at 32,768 on a CPU (fbgemm 1.8.0); such rows are cut into tables of at most 1024 columns.

Dimension key: V ids, P rows in one physical row, W width of a row.
"""

import torch
from torch import Tensor

from recsys.config.limits import rows_together
from recsys.embeddings.scheme import Init, PhysicalTable, Scheme

__all__ = ["packed_tables", "unpack"]

MOST_COLUMNS = 1024


def packed_tables(scheme: Scheme, suffix: str, rows: int, width: int, init: Init | None = None) -> list[PhysicalTable]:
    """Return the physical tables, all of the same rows, that hold `rows` rows of any width."""
    together = rows_together(width)
    columns = together * width
    starts = range(0, columns, MOST_COLUMNS)
    suffixes = [suffix] if len(starts) == 1 else [f"{suffix}_{start}" for start in starts]
    return [
        scheme.table(name, -(-rows // together), min(MOST_COLUMNS, columns - start), init)
        for name, start in zip(suffixes, starts, strict=True)
    ]


def unpack(pieces: list[Tensor], row_V: Tensor, together: int) -> Tensor:
    """Return rows (V, W) out of the physical rows, looked up at `row_V // together`, of all their tables."""
    wide = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)
    if together == 1:
        return wide
    rows_VPW = wide.view(wide.size(0), together, wide.size(1) // together)
    place_V11 = torch.remainder(row_V, together).view(-1, 1, 1)
    return rows_VPW.gather(1, place_V11.expand(-1, 1, rows_VPW.size(2))).squeeze(1)
