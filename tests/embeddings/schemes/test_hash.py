"""The hashing trick, one pool or rows dealt to the features."""

import pytest
import torch

from recsys.config import HashTable, ResolvedTable
from recsys.embeddings import FeatureVocabulary, Full, Hash, build_schemes
from tests.embeddings.public_data import AVAZU, CRITEO, vocabularies


def test_with_a_row_for_each_id_it_is_a_plain_table() -> None:
    sizes = vocabularies([10, 7, 5])
    made = Hash("t", sizes, 4, HashTable(features=("a",), scheme="hash", rows=22))
    full = Full("t", sizes, 4, HashTable(features=("a",), scheme="hash", rows=22))
    for feature_index, size in enumerate(sizes):
        assert torch.equal(
            made.remap(torch.arange(size.size), feature_index), full.remap(torch.arange(size.size), feature_index)
        )


def test_rows_per_feature_are_proportional_to_the_vocabularies() -> None:
    spec = HashTable(features=("a",), scheme="hash", rows=100, per_feature=True)
    parts = Hash.build("t", vocabularies([600, 300, 99, 1]), 4, spec)
    assert [(type(part), part.physical_tables()[0].rows) for part in parts] == [
        (Hash, 60),
        (Hash, 30),
        (Hash, 9),
        (Full, 1),
    ]
    assert [part.name for part in parts] == [f"t/f{i}" for i in range(4)]
    assert len({part.physical_tables()[0].name for part in parts}) == 4


def test_an_open_vocabulary_counts_as_the_largest_known_one() -> None:
    spec = HashTable(features=("a",), scheme="hash", rows=100, per_feature=True)
    parts = Hash.build(
        "t", [FeatureVocabulary("a", 10), FeatureVocabulary("b", None), FeatureVocabulary("c", 40)], 4, spec
    )
    assert [part.physical_tables()[0].rows for part in parts] == [10, 44, 40]


def test_per_feature_tables_that_would_not_shrink_stay_full_tables() -> None:
    spec = HashTable(features=("a",), scheme="hash", rows=3, per_feature=True)
    assert [type(part) for part in Hash.build("t", vocabularies([2, 1, 5]), 4, spec)] == [Hash, Full, Hash]


@pytest.mark.parametrize("per_feature", [False, True])
@pytest.mark.parametrize("sizes", [CRITEO, AVAZU], ids=["criteo", "avazu"])
@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.1, 0.001])
def test_a_budget_is_kept_and_used_up(ratio: float, sizes: list[int], per_feature: bool) -> None:
    spec = HashTable(features=("a",), scheme="hash", budget=ratio, per_feature=per_feature)
    parts = build_schemes(ResolvedTable(name="t", fields=("a",), dim=16, spec=spec), vocabularies(sizes))
    allowed, found = int(ratio * 64 * sum(sizes)), sum(part.serving_bytes() for part in parts)
    assert found <= allowed < found + 64 * (len(sizes) if per_feature else 1)
