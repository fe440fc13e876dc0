"""Which device holds which part of which table: planned, explained, saved, and carried out again."""

from recsys.embeddings.placement.machine import GPUS, KEPT_FREE, Machine
from recsys.embeddings.placement.parts import Part, TablePlacement
from recsys.embeddings.placement.place import place
from recsys.embeddings.placement.placement import Placement, RankCost
from recsys.embeddings.placement.traffic import Wire

__all__ = ["GPUS", "KEPT_FREE", "Machine", "Part", "Placement", "RankCost", "TablePlacement", "Wire", "place"]
