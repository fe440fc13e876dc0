"""Embedding schemes, their lookup through TorchRec, and the layout that turns rows of data into lookups."""

from recsys.embeddings.batch import Batch
from recsys.embeddings.build import build_schemes, register_scheme
from recsys.embeddings.layout import FieldLookup, Layout, count_rows
from recsys.embeddings.lookup import Lookup, fuse_optimizer, unpack_lookups
from recsys.embeddings.scheme import FeatureVocabulary, Phase, PhysicalTable, Scheme
from recsys.embeddings.schemes.full import Full
from recsys.embeddings.schemes.hash import Hash

__all__ = [
    "Batch",
    "Full",
    "Hash",
    "Layout",
    "Lookup",
    "FeatureVocabulary",
    "Phase",
    "PhysicalTable",
    "FieldLookup",
    "Scheme",
    "build_schemes",
    "register_scheme",
    "count_rows",
    "unpack_lookups",
    "fuse_optimizer",
]
