"""What each physical table asks of the devices that hold it: bytes, ids read, vectors sent.

All counts are means over rows of the data. One *bag* is one vector that the lookup returns: a field's, or, where ids
are not summed, an id's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from recsys.config import SparseOptimizer
from recsys.embeddings.constraints import TableConstraints
from recsys.embeddings.layout import Layout
from recsys.embeddings.scheme import ROW_STATE

__all__ = ["TableLoad", "loads_of"]


@dataclass(frozen=True, slots=True)
class TableLoad:
    """One physical table."""

    name: str
    collection: Literal["pooled", "slots"]
    rows: int
    dim: int
    request: TableConstraints
    weight_bytes: int
    """Of one weight."""
    state_by_row: int
    """Bytes of the optimiser's state."""
    state_by_weight: int
    ids: tuple[float, ...]
    """Ids of each bag of a row, by key."""
    bags: tuple[float, ...]
    """Bags of each row, by key."""

    @property
    def all_ids(self) -> float:
        """Ids that a row reads."""
        return sum(ids * bags for ids, bags in zip(self.ids, self.bags, strict=True))

    @property
    def all_bags(self) -> float:
        """Vectors that a row gets."""
        return sum(self.bags)

    def weights(self, rows: int, columns: int) -> int:
        """Return the bytes of the weights of a part."""
        return rows * columns * self.weight_bytes

    def state(self, rows: int, columns: int) -> int:
        """Return the bytes of the optimiser's state of a part."""
        return rows * (self.state_by_row + columns * self.state_by_weight)

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole table with its state."""
        return self.weights(self.rows, self.dim) + self.state(self.rows, self.dim)


def loads_of(layout: Layout, optimizer: SparseOptimizer, lengths: Mapping[str, float]) -> list[TableLoad]:
    """Return every physical table of a layout that is looked up.

    Args:
        layout: of the plan.
        optimizer: of the tables.
        lengths: mean ids in a row, of fields that may have several; 1 for those that are not named.
    """
    by_row, by_weight = ROW_STATE[optimizer.name]
    found = []
    slots = {table: _bags(layout, keys, lengths) for table, keys in layout.slot_keys.items()}
    most = max(slots.values(), default=1.0)  # shorter tables get empty bags
    for name in [*layout.pooled_keys, *layout.slot_keys]:
        physical, request = layout.physical[name], layout.requests[name]
        is_pooled = name in layout.pooled_keys
        ids = [lengths.get(field, 1.0) for field, _ in (layout.pooled_keys if is_pooled else layout.slot_keys)[name]]
        found.append(
            TableLoad(
                name=name,
                collection="pooled" if is_pooled else "slots",
                rows=physical.rows,
                dim=physical.dim,
                request=request,
                weight_bytes=2 if request.precision == "fp16" else 4,
                state_by_row=4 * by_row,
                state_by_weight=4 * by_weight,
                ids=tuple(ids) if is_pooled else (sum(ids) / most,),
                bags=(1.0,) * len(ids) if is_pooled else (most,),
            )
        )
    return found


def _bags(layout: Layout, lookups: list[tuple[str, int]], lengths: Mapping[str, float]) -> float:
    """Return the bags of a row in the slots of a table: one for each id that is not summed."""
    forms = {field: layout.reads[field].form for field, _ in lookups}
    return max(1e-3, sum(1.0 if forms[field] == "bag" else lengths.get(field, 1.0) for field, _ in lookups))
