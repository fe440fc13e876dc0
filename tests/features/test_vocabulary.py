import numpy as np
import pytest

from recsys.features.counts import ValueCounts
from recsys.features.fingerprint import NULL_KEY, Keys
from recsys.features.vocabulary import DenseLookup, HashLookup, Vocabulary, VocabularyCounter


def fitted(keys: list[int], *, min_count: int = 1, max_size: int | None = None) -> Vocabulary:
    counter = VocabularyCounter()
    counter.add(np.array(keys, dtype=np.int64))
    return counter.finish(min_count=min_count, max_size=max_size)


def encoded(vocabulary: Vocabulary, *keys: int) -> list[int]:
    return vocabulary.encode(np.array(keys, dtype=np.int64)).tolist()


def test_ids_follow_descending_counts_and_then_ascending_keys() -> None:
    vocabulary = fitted([5, 9, 9, -4, 5, 9, 7, NULL_KEY, 7])
    assert encoded(vocabulary, 9, 5, 7, NULL_KEY, -4) == [1, 2, 3, 4, 5]
    assert vocabulary.counts.tolist() == [0, 3, 2, 2, 1, 1]
    assert vocabulary.keys.tolist() == [NULL_KEY, -4, 5, 7, 9]
    assert vocabulary.size == 6


def test_rare_keys_are_unknown_and_their_occurrences_are_counted() -> None:
    vocabulary = fitted([1, 1, 1, 2, 2, 3, 4], min_count=2)
    assert encoded(vocabulary, 1, 2, 3, 4, 5) == [1, 2, 0, 0, 0]
    assert vocabulary.counts.tolist() == [2, 3, 2]


def test_max_size_keeps_the_most_frequent_keys() -> None:
    vocabulary = fitted([1, 2, 2, 3, 3, 4], max_size=2)
    assert encoded(vocabulary, 1, 2, 3, 4) == [0, 1, 2, 0]
    assert vocabulary.counts.tolist() == [2, 2, 2]


@pytest.mark.parametrize("keys", [[], [3]])
def test_a_vocabulary_without_keys_knows_nothing(keys: list[int]) -> None:
    vocabulary = fitted(keys, min_count=2)
    assert vocabulary.size == 1
    assert encoded(vocabulary, 0, 3, NULL_KEY) == [0, 0, 0]


def test_a_listed_vocabulary_keeps_its_order_and_counts_what_training_holds() -> None:
    counter = VocabularyCounter()
    counter.add(np.array([7, 7, 5, 8]))
    vocabulary = counter.finish_listed([9, 5, 7, 5])
    assert encoded(vocabulary, 9, 5, 7, 8) == [1, 2, 3, 0]
    assert vocabulary.counts.tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("cuts", [[], [1], [500, 501, 9000], list(range(0, 10_000, 37))])
def test_the_pieces_a_stream_comes_in_make_no_difference(cuts: list[int]) -> None:
    keys = np.random.default_rng(0).zipf(1.3, 10_000) % 1000
    whole = fitted(keys.tolist(), min_count=2)
    total = VocabularyCounter()
    for piece in reversed(np.split(keys, cuts)):
        part = VocabularyCounter()
        part.add(piece)
        total.merge(part)
    pieces = total.finish(min_count=2, max_size=None)
    for name in ("keys", "ids", "counts"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))


def test_counts_are_exact_when_many_distinct_values_are_merged_repeatedly() -> None:
    counted, rng = ValueCounts(), np.random.default_rng(0)
    arrays = [rng.integers(-200_000, 200_000, 50_000) for _ in range(12)]
    for array in arrays:
        counted.add(array)
    values, counts = np.unique(np.concatenate(arrays), return_counts=True)
    np.testing.assert_array_equal(counted.result()[0], values)
    np.testing.assert_array_equal(counted.result()[1], counts)
    assert counted.total == 600_000


def vocabularies() -> list[Keys]:
    rng = np.random.default_rng(0)
    return [
        np.array([NULL_KEY]),
        np.array([0]),
        np.array([NULL_KEY, -(2**63) + 1, 2**63 - 1]),
        np.array([NULL_KEY, *range(-5, 5)]),
        np.arange(2**62, 2**62 + 1000),
        np.arange(0, 2**63 - 2**53, 2**53),
        np.unique(rng.integers(-(2**63), 2**63 - 1, 30_000)),
        np.unique(rng.integers(0, 100_000, 30_000)),
    ]


@pytest.mark.parametrize("keys", vocabularies(), ids=range(len(vocabularies())))
def test_a_lookup_finds_every_key_and_no_other(keys: Keys) -> None:
    ids = np.random.default_rng(1).permutation(len(keys)).astype(np.int32) + 1
    with np.errstate(over="ignore"):
        queries = np.concatenate([keys, keys + 1, keys - 1, [0, 1, -1, NULL_KEY, 2**63 - 1]])
    known = dict(zip(keys.tolist(), ids.tolist(), strict=True))
    expected = [known.get(key, 0) for key in queries.tolist()]
    assert HashLookup(keys, ids).find(queries).tolist() == expected
    dense = DenseLookup.fitting(keys, ids)
    if dense is not None:
        assert dense.find(queries).tolist() == expected


def test_only_narrow_ranges_of_integers_are_stored_densely() -> None:
    ids = np.arange(1, 1001, dtype=np.int32)
    assert DenseLookup.fitting(np.arange(1000) * 60, ids) is not None
    assert DenseLookup.fitting(np.arange(1000) * 70, ids) is None
