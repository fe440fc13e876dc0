"""Embedding schemes, their lookup through TorchRec, and the layout that turns rows of data into lookups.

Names are imported when they are first used: what sizes tables needs torch, but not the seconds that torchrec takes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.embeddings.batch import Batch
    from recsys.embeddings.build import build_schemes, register_scheme
    from recsys.embeddings.layout import FieldLookup, Layout, count_rows
    from recsys.embeddings.lookup import Lookup, fuse_optimizer, unpack_lookups
    from recsys.embeddings.scheme import FeatureVocabulary, Phase, PhysicalTable, Scheme
    from recsys.embeddings.schemes.full import Full
    from recsys.embeddings.schemes.hash import Hash

_NAMES = {
    "batch": ["Batch"],
    "build": ["build_schemes", "register_scheme"],
    "layout": ["FieldLookup", "Layout", "count_rows"],
    "lookup": ["Lookup", "fuse_optimizer", "unpack_lookups"],
    "scheme": ["FeatureVocabulary", "Phase", "PhysicalTable", "Scheme"],
    "schemes.full": ["Full"],
    "schemes.hash": ["Hash"],
}
"""The names that each module gives to the package."""
_ORIGINS = {name: module for module, names in _NAMES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    if name not in _ORIGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"{__name__}.{_ORIGINS[name]}"), name)
    return found
