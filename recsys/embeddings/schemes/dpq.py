"""Differentiable product quantization.

Paper: Chen, Li and Sun, "Differentiable Product Quantization for End-to-End Embedding Compression", ICML 2020: its
DPQ-VQ, with a codebook for each part.
"""

from collections.abc import Sequence

from recsys.config.schemes import TableSection
from recsys.config.schemes.dpq import DpqTable
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.embeddings.schemes.codebook import Quantized

__all__ = ["Dpq"]


class Dpq(Quantized):
    """All ids choose among all centroids.

    Example:
        >>> spec = DpqTable(features=("item",), scheme="dpq", parts=2)
        >>> Dpq("t", [FeatureVocabulary("item", 1000)], 4, spec).serving_bytes()  # 2 codes of 5 bits, 32 centroids
        2512
    """

    section = DpqTable

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        assert isinstance(spec, DpqTable)
        super().__init__(name, vocabularies, dim, spec, num_hot=vocabularies[0].size, cold_choices=spec.choices)
