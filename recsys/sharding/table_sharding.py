"""The sharding of one physical table: its sharding type, its compute kernel, and which rank holds which shard."""

from dataclasses import dataclass
from typing import Literal

from recsys.config.schemes import RowPrecision, Sharding

__all__ = ["Kernel", "TableShard", "TableSharding", "can_split_rows", "shard_width"]

Kernel = Literal["ram", "hbm", "uvm", "uvm_caching"]
"""Memory that rows are read from: ram of a CPU, hbm of a GPU, or the host's memory with or without a cache (uvm)."""

MIN_EFFICIENT_WIDTH = 32
"""Floats below which a slice of a row is read inefficiently: a warp of a GPU reads 128 at a time."""


@dataclass(frozen=True, slots=True)
class TableShard:
    """A block of rows and columns of a table that one rank holds."""

    rank: int
    first_row: int
    first_column: int
    num_rows: int
    num_columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSharding:
    """The sharding of a physical table over the ranks."""

    name: str
    table: str
    """Table of the configuration that it belongs to."""
    collection: Literal["pooled", "unpooled"]
    """EmbeddingBagCollection of `Lookup` that holds the table."""
    rows: int
    dim: int
    precision: RowPrecision
    sharding: Sharding
    kernel: Kernel
    shards: tuple[TableShard, ...]
    weight_bytes: int
    """Bytes of all rows, over all ranks."""
    state_bytes: int
    """Bytes of the sparse optimizer's state, over all ranks."""
    reason: str
    """Reason why this sharding type was chosen, for people."""

    @property
    def ranks(self) -> list[int]:
        """Ranks that hold a shard, ascending."""
        return sorted({shard.rank for shard in self.shards})


def can_split_rows(rows: int, num_ranks: int) -> bool:
    """Return whether every rank gets rows when TorchRec splits them into blocks of equal size.

    FBGEMM's kernels do not accept a table without rows.

    >>> can_split_rows(5, 4), can_split_rows(7, 4)
    (False, True)
    """
    return -(-rows // num_ranks) * (num_ranks - 1) < rows


def shard_width(dim: int, max_shards: int) -> int | None:
    """Return the columns of a shard when a table is sharded by columns; None if rows are too narrow to be split.

    Splits into as many shards of at least 32 floats as allowed, else into two or more shards as wide as possible.

    Args:
        dim: Width of a row, in floats.
        max_shards: Most shards that a row may be split into.

    >>> [shard_width(128, 2), shard_width(128, 8), shard_width(16, 4), shard_width(12, 2), shard_width(4, 2)]
    [64, 32, 8, 4, None]
    """
    widths = [width for width in range(4, dim, 4) if dim % width == 0]
    efficient = [width for width in widths if width >= MIN_EFFICIENT_WIDTH and dim // width <= max_shards]
    return min(efficient, default=max(widths, default=None))
