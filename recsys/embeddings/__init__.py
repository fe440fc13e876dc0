"""Embedding schemes, their lookup through TorchRec, and the layout that turns rows of data into lookups."""

from recsys.embeddings.batch import Batch
from recsys.embeddings.build import SCHEMES, build_schemes
from recsys.embeddings.full import Full
from recsys.embeddings.hash import Hash
from recsys.embeddings.layout import Layout, Read, count_rows
from recsys.embeddings.lookup import Lookup, cut_rows, fuse_optimizer
from recsys.embeddings.scheme import Member, Phase, PhysicalTable, Scheme

__all__ = [
    "SCHEMES",
    "Batch",
    "Full",
    "Hash",
    "Layout",
    "Lookup",
    "Member",
    "Phase",
    "PhysicalTable",
    "Read",
    "Scheme",
    "build_schemes",
    "count_rows",
    "cut_rows",
    "fuse_optimizer",
]
