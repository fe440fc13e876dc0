"""The full table, whose bytes are known without building it."""

import pytest

from recsys.config.schemes.full import FullTable
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.embeddings.schemes.full import Full


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_its_section_knows_the_bytes_of_the_built_table(precision: str) -> None:
    section = FullTable.model_validate({"features": ("user", "item"), "precision": precision})
    built = Full("t", [FeatureVocabulary("user", 7), FeatureVocabulary("item", 3)], 8, section)
    assert section.known_bytes([7, 3], 8) == built.serving_bytes() == 10 * 8 * (2 if precision == "fp16" else 4)
    assert section.known_bytes([7, None], 8) is None
