import numpy as np
import torch

from recsys.export.types.cross import cross_key
from recsys.features import fingerprint


def test_crosses_are_folded_as_in_the_features() -> None:
    members = np.random.default_rng(2).integers(-(2**63), 2**63 - 1, (3, 1000))
    found = cross_key([torch.tensor(member) for member in members])
    np.testing.assert_array_equal(found.numpy(), fingerprint.cross_key(list(members)))
