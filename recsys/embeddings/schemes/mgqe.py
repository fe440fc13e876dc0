"""Multi-granular quantized embeddings: product quantization in which rare ids choose among fewer centroids.

Paper: Kang et al., "Learning Multi-granular Quantized Embeddings for Large-Vocab Categorical Features in Recommender
Systems", WWW 2020 companion: its variant of one codebook, of which cold ids use the first centroids.
DIFF: hot ids are the first of each feature's vocabulary, so that no flag for each id is stored.
"""

from collections.abc import Sequence

from recsys.config.schemes import TableSection
from recsys.config.schemes.mgqe import MgqeTable
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.embeddings.schemes.codebook import Quantized

__all__ = ["Mgqe"]


class Mgqe(Quantized):
    """The `hot` share of the ids choose among all centroids, the others among the first `cold_choices`.

    Example:
        >>> spec = MgqeTable(features=("item",), scheme="mgqe", parts=4)
        >>> Mgqe("t", [FeatureVocabulary("item", 100_000)], 16, spec).serving_bytes()  # 4 bytes for hot ids, else 3
        326384
    """

    section = MgqeTable

    def __init__(self, name: str, vocabularies: Sequence[FeatureVocabulary], dim: int, spec: TableSection) -> None:
        assert isinstance(spec, MgqeTable)
        num_hot = max(1, round(spec.hot * vocabularies[0].size))  # id 0, unknown, is hot in any case
        super().__init__(name, vocabularies, dim, spec, num_hot=num_hot, cold_choices=spec.cold_choices)
