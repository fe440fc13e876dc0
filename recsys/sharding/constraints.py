"""Requirements of the configuration on each physical table: its sharding, the memory it is read from, its precision."""

from typing import NamedTuple

from recsys.config.schemes import RowPlace, RowPrecision, Sharding
from recsys.embeddings.layout import Layout

__all__ = ["TableConstraints", "table_constraints"]


class TableConstraints(NamedTuple):
    """Requirements of the configuration on one physical table."""

    sharding: Sharding | None = None
    """Sharding type that is asked for; None lets the planner choose."""
    placement: RowPlace | None = None
    """Memory that is asked for; None is the device's own."""
    precision: RowPrecision = "fp32"
    needs_whole_table: bool = False
    """Whether the scheme trains on the whole table, which must therefore be on one device."""
    table: str = ""
    """Name of the table in the configuration."""
    scheme: str = ""


def table_constraints(layout: Layout) -> dict[str, TableConstraints]:
    """Return what the configuration asks of each physical table, by the physical table's name."""
    found: dict[str, TableConstraints] = {}
    for table in layout.resolved.tables:
        for scheme in layout.schemes_by_table[table.name]:
            asked = TableConstraints(
                sharding=table.spec.sharding,
                placement=table.spec.placement,
                precision=scheme.spec.precision,
                needs_whole_table=scheme.spec.needs_whole_tables,
                table=table.name,
                scheme=scheme.spec.scheme,
            )
            found |= {physical.name: asked for physical in scheme.physical_tables()}
    return found
