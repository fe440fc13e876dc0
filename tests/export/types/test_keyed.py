import numpy as np
import torch

from recsys.export.types.keyed import VocabularyEncoder
from recsys.features.fingerprint import NULL_KEY
from recsys.features.vocabulary import Vocabulary


def test_vocabulary_finds_the_first_and_last_key_and_nothing_else() -> None:
    keys = np.array([-(2**63), 4, 2**63 - 1])
    encoder = VocabularyEncoder(Vocabulary(keys, np.array([2, 3, 1], np.int32), np.zeros(4, np.int64)))
    found = encoder(torch.tensor([2**63 - 1, -(2**63), 4, 5, 3, 0]))
    assert found.tolist() == [1, 2, 3, 0, 0, 0]


def test_an_empty_vocabulary_knows_nothing() -> None:
    empty = Vocabulary(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(1, np.int64))
    assert VocabularyEncoder(empty)(torch.tensor([0, NULL_KEY])).tolist() == [0, 0]
