"""The cost of each physical table for the devices that hold it: bytes, ids that are read, vectors that are returned.

All counts are means over rows of the data. A *bag* is one vector that the lookup returns: that of a field, or that of
an id where ids are not pooled by the kernel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from recsys.config import SparseOptimizer
from recsys.config.schemes.base import WEIGHT_BYTES
from recsys.embeddings.layout import Layout
from recsys.embeddings.scheme import ROW_STATE
from recsys.sharding.constraints import TableConstraints, table_constraints

__all__ = ["TableLoad", "table_loads"]


@dataclass(frozen=True, slots=True)
class TableLoad:
    """Size and traffic of one physical table."""

    name: str
    collection: Literal["pooled", "unpooled"]
    rows: int
    dim: int
    constraints: TableConstraints
    weight_bytes: int
    """Bytes of one weight."""
    state_by_row: int
    """Bytes of the optimizer's state for each row."""
    state_by_weight: int
    """Bytes of the optimizer's state for each weight."""
    pooling_factors: tuple[float, ...]
    """Ids of a bag, for each key of the lookup."""
    num_poolings: tuple[float, ...]
    """Bags of a row of the data, for each key of the lookup."""

    @property
    def ids_per_row(self) -> float:
        """Ids that are read for a row of the data."""
        return sum(ids * bags for ids, bags in zip(self.pooling_factors, self.num_poolings, strict=True))

    @property
    def bags_per_row(self) -> float:
        """Vectors that are returned for a row of the data."""
        return sum(self.num_poolings)

    def shard_weight_bytes(self, rows: int, columns: int) -> int:
        """Return the bytes of the weights of a shard."""
        return rows * columns * self.weight_bytes

    def shard_state_bytes(self, rows: int, columns: int) -> int:
        """Return the bytes of the optimizer's state of a shard."""
        return rows * (self.state_by_row + columns * self.state_by_weight)

    def shard_bytes(self, rows: int, columns: int) -> int:
        """Return the bytes of a shard's weights and optimizer state."""
        return self.shard_weight_bytes(rows, columns) + self.shard_state_bytes(rows, columns)

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole table with its optimizer state."""
        return self.shard_bytes(self.rows, self.dim)


def table_loads(layout: Layout, optimizer: SparseOptimizer, lengths: Mapping[str, float]) -> list[TableLoad]:
    """Return the load of every physical table of a layout that is looked up.

    Args:
        layout: Layout of the model.
        optimizer: Optimizer of the tables.
        lengths: Mean number of ids in a row, for fields that may have several; 1 for those that are not named.
    """
    by_row, by_weight = ROW_STATE[optimizer.name]
    constraints = table_constraints(layout)
    bags = {table: _unpooled_bags(layout, keys, lengths) for table, keys in layout.unpooled_keys.items()}
    most_bags = max(bags.values(), default=1.0)  # tables with fewer are padded with empty bags
    found = []
    for name in [*layout.pooled_keys, *layout.unpooled_keys]:
        is_pooled = name in layout.pooled_keys
        keys = layout.pooled_keys[name] if is_pooled else layout.unpooled_keys[name]
        ids = [lengths.get(field, 1.0) for field, _ in keys]
        found.append(
            TableLoad(
                name=name,
                collection="pooled" if is_pooled else "unpooled",
                rows=layout.physical_tables[name].rows,
                dim=layout.physical_tables[name].dim,
                constraints=constraints[name],
                weight_bytes=WEIGHT_BYTES[constraints[name].precision],
                state_by_row=4 * by_row,
                state_by_weight=4 * by_weight,
                pooling_factors=tuple(ids) if is_pooled else (sum(ids) / most_bags,),
                num_poolings=(1.0,) * len(ids) if is_pooled else (most_bags,),
            )
        )
    return found


def _unpooled_bags(layout: Layout, keys: list[tuple[str, int]], lengths: Mapping[str, float]) -> float:
    """Return the bags of a row of the data in an unpooled table: one for each id that is not pooled."""
    forms = {field: layout.field_lookups[field].form for field, _ in keys}
    return max(1e-3, sum(1.0 if forms[field] == "bag" else lengths.get(field, 1.0) for field, _ in keys))
