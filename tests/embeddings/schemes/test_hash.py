"""The hashing trick, one pool or rows dealt to the features."""

import pytest
import torch

from recsys.config import HashTable, ResolvedTable
from recsys.embeddings import Full, Hash, Member, build_schemes

from .test_multi_hash import AVAZU, CRITEO, members


def test_check_06_with_a_row_for_each_id_it_is_a_plain_table() -> None:
    sizes = members([10, 7, 5])
    made = Hash("t", sizes, 4, HashTable(features=("a",), scheme="hash", rows=22))
    full = Full("t", sizes, 4, HashTable(features=("a",), scheme="hash", rows=22))
    for member, size in enumerate(sizes):
        assert torch.equal(made.remap(torch.arange(size.size), member), full.remap(torch.arange(size.size), member))


def test_separate_rows_are_dealt_in_proportion_to_the_vocabularies() -> None:
    spec = HashTable(features=("a",), scheme="hash", rows=100, separate=True)
    parts = Hash.parts("t", members([600, 300, 99, 1]), 4, spec)
    assert [(type(part), part.physical()[0].rows) for part in parts] == [(Hash, 60), (Hash, 30), (Hash, 9), (Full, 1)]
    assert [part.name for part in parts] == [f"t/C{i}" for i in range(4)]
    assert len({part.physical()[0].name for part in parts}) == 4


def test_an_open_vocabulary_counts_as_the_largest_known_one() -> None:
    spec = HashTable(features=("a",), scheme="hash", rows=100, separate=True)
    parts = Hash.parts("t", [Member("a", 10), Member("b", None), Member("c", 40)], 4, spec)
    assert [part.physical()[0].rows for part in parts] == [10, 44, 40]


def test_check_04_separate_vocabularies_that_would_not_shrink_stay_plain() -> None:
    spec = HashTable(features=("a",), scheme="hash", rows=3, separate=True)
    assert [type(part) for part in Hash.parts("t", members([2, 1, 5]), 4, spec)] == [Hash, Full, Hash]


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("sizes", [CRITEO, AVAZU], ids=["criteo", "avazu"])
@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.1, 0.001])
def test_check_01_a_budget_is_kept_and_used_up(ratio: float, sizes: list[int], separate: bool) -> None:
    spec = HashTable(features=("a",), scheme="hash", budget=ratio, separate=separate)
    parts = build_schemes(ResolvedTable(name="t", fields=("a",), dim=16, spec=spec), members(sizes))
    allowed, found = int(ratio * 64 * sum(sizes)), sum(part.serving_bytes() for part in parts)
    assert found <= allowed < found + 64 * (len(sizes) if separate else 1)
