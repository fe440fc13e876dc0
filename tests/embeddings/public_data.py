"""Numbers of ids of the fields of two public data sets, on which sizes of tables are worked out."""

from typing import Any

from recsys.config import ResolvedTable
from recsys.config.schemes import SCHEMES
from recsys.embeddings import FeatureVocabulary

# fmt: off
CRITEO = [
    1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10, 5652,
    2173, 4, 7046547, 18, 15, 286181, 105, 142572,
]
AVAZU = [
    240, 7, 7, 4737, 7745, 26, 8552, 559, 36, 2686408, 6729486, 8251, 5, 4, 2626, 8, 9, 435, 4, 68, 172, 60,
]
# fmt: on
FIELDS = {"criteo": CRITEO, "avazu": AVAZU}
DIM = 16


def vocabularies(sizes: list[int]) -> list[FeatureVocabulary]:
    """Return a vocabulary of each size, named f0, f1, ..."""
    return [FeatureVocabulary(f"f{i}", size) for i, size in enumerate(sizes)]


def planned(case: str, sizes: list[int], **keys: Any) -> ResolvedTable:
    """Return a table of one scheme; `case` is its name, or SCHEME-VARIANT."""
    scheme = case.partition("-")[0]
    names = tuple(vocabulary.name for vocabulary in vocabularies(sizes))
    spec: Any = SCHEMES[scheme].model_validate({"features": names, "scheme": scheme, **keys})
    return ResolvedTable(name="t", fields=names, dim=DIM, spec=spec)
