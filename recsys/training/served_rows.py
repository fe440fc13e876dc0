"""The rows of tables that are served in fewer bits than they are trained in: rounded before each validation."""

import torch
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.training.strategy import table_shards

__all__ = ["round_served_rows"]

CHUNK_ROWS = 2**20
"""Rows that are rounded at once, which need a copy of half their bytes."""


@torch.no_grad()
def round_served_rows(model: DistributedModelParallel) -> None:
    """Round the rows that this rank holds to the precision in which their tables are served, in place.

    An epoch's metrics are then those of the served model, and so are all that are computed from its checkpoint.
    Training goes on from the rounded rows in full precision: unlike in rows that are kept in 16 bits, no change is lost
    for being small.
    """
    schemes = model.module.layout.schemes.values()
    rounded = [one for one in schemes if one.spec.serving_weight_bytes < one.spec.weight_bytes]
    shards = table_shards(model) if rounded else {}
    for table in (table for scheme in rounded for table in scheme.physical_tables()):
        for shard in shards.get(table.name, []):
            for rows in torch.split(shard.tensor, CHUNK_ROWS):
                rows.copy_(rows.half())
