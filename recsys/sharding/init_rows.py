"""Fresh rows of a table, whichever part of it is asked for: a model starts the same however its tables are sharded.

Rows are drawn in blocks, each by a generator of its own. Who holds some rows draws the blocks that they lie in, and who
holds some columns draws whole rows and keeps these columns. Always on the CPU, so that a GPU starts from the same rows.

Dimension key: R rows and C columns of a shard.
"""

import torch
from torch import Tensor

from recsys.embeddings.scheme import PhysicalTable
from recsys.ranks.seeds import derive_seed

__all__ = ["fill_shard"]

BLOCK = 2**14
"""Rows."""


def fill_shard(shard_RC: Tensor, table: PhysicalTable, *, seed: int, first_row: int = 0, first_column: int = 0) -> None:
    """Draw the rows of a part of a table in place.

    Args:
        shard_RC: the part.
        table: the whole.
        seed: of the training.
        first_row: of the part in the table.
        first_column: of the part in the table.

    Example:
        >>> table = PhysicalTable("items", rows=40_000, dim=8)
        >>> whole, part = torch.empty(40_000, 8), torch.empty(10, 4)
        >>> fill_shard(whole, table, seed=1)
        >>> fill_shard(part, table, seed=1, first_row=20_000, first_column=4)
        >>> torch.equal(part, whole[20_000:20_010, 4:])
        True
    """
    num_rows, num_columns = shard_RC.shape
    for start in range(first_row - first_row % BLOCK, first_row + num_rows, BLOCK):
        block = torch.empty(min(BLOCK, table.rows - start), table.dim)
        table.init(block, torch.Generator().manual_seed(derive_seed(seed, table.name, start // BLOCK)))
        low, high = max(start, first_row), min(start + len(block), first_row + num_rows)
        columns = slice(first_column, first_column + num_columns)
        with torch.no_grad():
            shard_RC[low - first_row : high - first_row] = block[low - start : high - start, columns]
