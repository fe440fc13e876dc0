"""A table cut into parts: who holds which rows and columns of it."""

from dataclasses import dataclass
from typing import Literal

from recsys.config.schemes import RowPrecision, Sharding

__all__ = ["Part", "TableSharding", "can_deal", "column_width"]

Kernel = Literal["ram", "hbm", "uvm", "uvm_caching"]

NARROW = 32
"""Parts of a row that are narrower than this many floats are read badly: a warp of a GPU reads 128 at a time."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows and columns of a table on one rank."""

    rank: int
    row: int
    """First row."""
    column: int
    """First column."""
    rows: int
    columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSharding:
    """Where a physical table is."""

    name: str
    table: str
    """Of the configuration."""
    collection: Literal["pooled", "slots"]
    rows: int
    dim: int
    precision: RowPrecision
    shard: Sharding
    kernel: Kernel
    """ram: of a CPU."""
    parts: tuple[Part, ...]
    weight_bytes: int
    """Of all rows."""
    state_bytes: int
    """Of the optimiser."""
    why: str

    @property
    def ranks(self) -> list[int]:
        """Ranks that hold a part, ascending."""
        return sorted({part.rank for part in self.parts})


def can_deal(rows: int, ranks: int) -> bool:
    """Tell whether each rank gets a row when rows are dealt in blocks of equal size, as TorchRec does.

    A kernel cannot be without rows.

    >>> can_deal(5, 4), can_deal(7, 4)
    (False, True)
    """
    return -(-rows // ranks) * (ranks - 1) < rows


def column_width(dim: int, parts: int) -> int | None:
    """Return how wide the parts are when a row is cut into at most so many; None if it cannot be cut.

    As many parts as there may be of at least 32 floats; else two or more of which each is as wide as possible.

    >>> [column_width(128, 2), column_width(128, 8), column_width(16, 4), column_width(12, 2), column_width(4, 2)]
    [64, 32, 8, 4, None]
    """
    widths = [width for width in range(4, dim, 4) if dim % width == 0]
    good = [width for width in widths if width >= NARROW and dim // width <= parts]
    return min(good, default=max(widths, default=None))
