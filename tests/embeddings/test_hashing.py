import numpy as np
import pytest
import torch

from recsys.config import HashTable
from recsys.embeddings import FeatureVocabulary, Hash
from recsys.embeddings.hashing import mix64
from recsys.features.fingerprint import mix64 as mix64_numpy


def test_mix64_is_splitmix64() -> None:
    """The finaliser of the reference generator: its first output for seed 0 is mix64 of the golden gamma."""
    gamma = np.array(0x9E3779B97F4A7C15, dtype=np.uint64).astype(np.int64)
    assert int(mix64(torch.tensor([int(gamma)]))[0]) & (2**64 - 1) == 0xE220A8397B1DCDAF


def test_torch_and_numpy_mix_alike() -> None:
    keys = np.array([0, 1, -1, 2**63 - 1, -(2**63), 123456789], dtype=np.int64)
    assert mix64(torch.from_numpy(keys)).tolist() == mix64_numpy(keys).tolist()


@pytest.mark.parametrize("step", [1, 1000, 1024, 2**40])
def test_open_keys_in_regular_steps_spread_over_the_rows(step: int) -> None:
    table = Hash("t", [FeatureVocabulary("item", None)], 4, HashTable(features=("item",), scheme="hash", rows=1000))
    used = torch.bincount(table.remap(torch.arange(20_000) * step, 0)[0], minlength=1000)
    assert int((used == 0).sum()) == 0
    assert int(used.max()) < 50


def test_open_keys_of_two_features_do_not_fall_on_the_same_rows() -> None:
    spec = HashTable(features=("a", "b"), scheme="hash", rows=1000)
    table = Hash("t", [FeatureVocabulary("a", None), FeatureVocabulary("b", None)], 4, spec)
    keys = torch.arange(1000)
    assert float((table.remap(keys, 0) == table.remap(keys, 1)).float().mean()) < 0.01


def test_adding_a_feature_rehashes_no_other() -> None:
    spec = HashTable(features=("a",), scheme="hash", rows=1000)
    alone = Hash("t", [FeatureVocabulary("b", None)], 4, spec)
    beside = Hash("t", [FeatureVocabulary("a", None), FeatureVocabulary("b", None)], 4, spec)
    keys = torch.arange(100)
    assert torch.equal(alone.remap(keys, 0), beside.remap(keys, 1))
