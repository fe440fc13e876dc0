import numpy as np
import pytest
import torch

from recsys.config.feature_types import PART_SIZES
from recsys.export.torchscript import script
from recsys.export.types.datetime import DatetimeEncoder
from recsys.features.fingerprint import NULL_KEY
from recsys.features.times import part_ids


@pytest.mark.parametrize("part", list(PART_SIZES))
def test_datetime_parts_are_those_of_the_calendar(part) -> None:
    drawn = np.random.default_rng(1).integers(-(10**11), 10**11, 20_000)
    edges = [NULL_KEY, 0, -1, 951_782_399, 951_782_400, 951_868_800, -2_203_891_200, 4_107_542_400]
    seconds = np.concatenate([drawn, edges])
    found = script(DatetimeEncoder(part))(torch.tensor(seconds))
    np.testing.assert_array_equal(found.numpy(), part_ids(seconds, part))
