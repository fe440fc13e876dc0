"""Embedding schemes, their lookup through TorchRec, and the layout that turns rows of data into lookups.

Names are imported when they are first used: what sizes tables needs torch, but not the seconds that torchrec takes.
"""

from typing import TYPE_CHECKING

from recsys.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from recsys.embeddings.batch import Batch
    from recsys.embeddings.build import build_schemes, register_scheme
    from recsys.embeddings.layout import FieldLookup, Layout, count_rows
    from recsys.embeddings.lookup import Lookup, fuse_optimizer, unpack_lookups
    from recsys.embeddings.scheme import FeatureVocabulary, Phase, PhysicalTable, Scheme
    from recsys.embeddings.schemes.full import Full
    from recsys.embeddings.schemes.hash import Hash

__all__ = [
    "Batch",
    "FeatureVocabulary",
    "FieldLookup",
    "Full",
    "Hash",
    "Layout",
    "Lookup",
    "Phase",
    "PhysicalTable",
    "Scheme",
    "build_schemes",
    "count_rows",
    "fuse_optimizer",
    "register_scheme",
    "unpack_lookups",
]

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "recsys.embeddings.batch": "Batch",
        "recsys.embeddings.build": "build_schemes register_scheme",
        "recsys.embeddings.layout": "FieldLookup Layout count_rows",
        "recsys.embeddings.lookup": "Lookup fuse_optimizer unpack_lookups",
        "recsys.embeddings.scheme": "FeatureVocabulary Phase PhysicalTable Scheme",
        "recsys.embeddings.schemes.full": "Full",
        "recsys.embeddings.schemes.hash": "Hash",
    },
)
