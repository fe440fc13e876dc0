"""One section a file: the keys of a scheme's tables and the facts that others ask about the scheme.

`SCHEMES` is the one registry of schemes. The union of sections in a configuration, its JSON Schema, messages, the
scheme benchmark, remedies, the contract suite and the tables of the documentation are made from it.
"""

from typing import Annotated

from recsys.config.schemes.base import CustomTable, RowPlace, RowPrecision, Sharding, SizedTable, TableSection
from recsys.config.section import SectionRegistry
from recsys.registry import load_object

__all__ = [
    "SCHEMES",
    "CustomTable",
    "RowPlace",
    "RowPrecision",
    "Sharding",
    "SizedTable",
    "Table",
    "TableSection",
]

SCHEMES: SectionRegistry[TableSection] = SectionRegistry(
    "scheme", key="scheme", default="full", base="recsys.embeddings.scheme:Scheme", custom=CustomTable
)
"""Sections of all schemes by name, in the order in which they are listed to users."""
Table = Annotated[TableSection, SCHEMES]

for _section in (  # one line a scheme
    "full:FullTable",
    "hash:HashTable",
    "unified:UnifiedTable",
    "multi_hash:MultiHashTable",
    "qr:QrTable",
    "tt_rec:TtRecTable",
    "dhe:DheTable",
    "robe:RobeTable",
    "dedup:DedupTable",
    "adaptemb:AdaptEmbTable",
    "dpq:DpqTable",
    "mgqe:MgqeTable",
    "int8:Int8Table",
    "int16:Int16Table",
    "alpt:AlptTable",
    "md:MdTable",
    "blocks:BlocksTable",
    "deeplight:DeepLightTable",
):
    SCHEMES.add(load_object(f"{__name__}.{_section}"))
