"""Initial rows of the tables, which are the same however the tables are sharded, and on every device.

Rows are drawn in blocks, each by a random generator of its own. A rank draws the blocks that its rows lie in; if it
holds some of the columns, it draws whole rows and keeps these columns. All draws are made on the CPU.

Dimension key: R rows and C columns of a shard.
"""

import torch
from torch import Tensor

from recsys.embeddings.scheme import PhysicalTable
from recsys.ranks.seeds import derive_seed

__all__ = ["init_shard"]

BLOCK_ROWS = 2**14


def init_shard(shard_RC: Tensor, table: PhysicalTable, *, seed: int, first_row: int = 0, first_column: int = 0) -> None:
    """Draw the initial rows of a shard of a table, in place.

    Args:
        shard_RC: Rows of the shard, (R, C).
        table: Table that it is a shard of, whose `init` draws.
        seed: Seed of the run.
        first_row: Row of the table at which the shard begins.
        first_column: Column of the table at which the shard begins.

    Example:
        >>> table = PhysicalTable("items", rows=40_000, dim=8)
        >>> whole, part = torch.empty(40_000, 8), torch.empty(10, 4)
        >>> init_shard(whole, table, seed=1)
        >>> init_shard(part, table, seed=1, first_row=20_000, first_column=4)
        >>> torch.equal(part, whole[20_000:20_010, 4:])
        True
    """
    num_rows, num_columns = shard_RC.shape
    for start in range(first_row - first_row % BLOCK_ROWS, first_row + num_rows, BLOCK_ROWS):
        block = torch.empty(min(BLOCK_ROWS, table.rows - start), table.dim)
        table.init(block, torch.Generator().manual_seed(derive_seed(seed, table.name, start // BLOCK_ROWS)))
        low, high = max(start, first_row), min(start + len(block), first_row + num_rows)
        columns = slice(first_column, first_column + num_columns)
        with torch.no_grad():
            shard_RC[low - first_row : high - first_row] = block[low - start : high - start, columns]
