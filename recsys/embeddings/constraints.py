"""What the configuration asks of each physical table: how it is sharded, where and how precisely its rows lie."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from recsys.config import ResolvedConfig
from recsys.config.schemes import RowPlace, RowPrecision, Sharding
from recsys.embeddings.scheme import Scheme

__all__ = ["TableConstraints", "table_constraints"]


class TableConstraints(NamedTuple):
    """What is asked of one physical table."""

    sharding: Sharding | None = None
    """None: what is estimated to be fastest."""
    placement: RowPlace | None = None
    """None: the device's own memory."""
    precision: RowPrecision = "fp32"
    whole: bool = False
    """The scheme trains on the whole table, which is therefore on one device."""
    table: str = ""
    """Of the configuration."""
    scheme: str = ""


def table_constraints(resolved: ResolvedConfig, tables: Mapping[str, Sequence[Scheme]]) -> dict[str, TableConstraints]:
    """Return what is asked of each physical table, by its name.

    Args:
        resolved: with the tables' sections.
        tables: the schemes that store each table of the configuration, by its name.
    """
    found: dict[str, TableConstraints] = {}
    for table in resolved.tables:
        spec = table.spec
        for scheme in tables[table.name]:
            request = TableConstraints(
                spec.sharding,
                spec.placement,
                scheme.spec.precision,
                scheme.spec.needs_whole_tables,
                table.name,
                scheme.spec.scheme,
            )
            found |= {physical.name: request for physical in scheme.physical()}
    return found
