"""Former place of the sections in `recsys.config.schemes`; goes when nobody imports it."""

from recsys.config.schemes import SCHEMES, CustomTable, RowPlace, RowPrecision, Sharding, Table, TableSection
from recsys.config.schemes.adaptemb import AdaptEmbTable
from recsys.config.schemes.alpt import AlptTable
from recsys.config.schemes.dedup import DedupTable
from recsys.config.schemes.deeplight import DeepLightTable
from recsys.config.schemes.dhe import DheTable
from recsys.config.schemes.dpq import DpqTable
from recsys.config.schemes.full import FullTable
from recsys.config.schemes.hash import HashTable
from recsys.config.schemes.int8 import Int8Table
from recsys.config.schemes.int16 import Int16Table
from recsys.config.schemes.md import MdTable
from recsys.config.schemes.mgqe import MgqeTable
from recsys.config.schemes.multi_hash import MultiHashTable
from recsys.config.schemes.qr import QrTable
from recsys.config.schemes.robe import RobeTable
from recsys.config.schemes.tt_rec import TtRecTable
from recsys.config.schemes.unified import UnifiedTable

__all__ = [
    "AdaptEmbTable",
    "AlptTable",
    "CustomTable",
    "DedupTable",
    "DeepLightTable",
    "DheTable",
    "DpqTable",
    "FullTable",
    "HashTable",
    "Int8Table",
    "Int16Table",
    "MdTable",
    "MgqeTable",
    "MultiHashTable",
    "QrTable",
    "RobeTable",
    "RowPlace",
    "RowPrecision",
    "Sharding",
    "Table",
    "TtRecTable",
    "UnifiedTable",
    "table_sections",
]


def table_sections() -> dict[str, type[TableSection]]:
    """Return the section of each registered scheme, by its name."""
    return dict(SCHEMES.items())
