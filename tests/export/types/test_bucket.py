import torch

from recsys.export.types.bucket import BucketEncoder


def test_a_boundary_belongs_to_the_bucket_above_it() -> None:
    encoder = BucketEncoder(torch.tensor([0.0, 1.0], dtype=torch.float64))
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 9.0, float("nan")], dtype=torch.float64)
    assert encoder(x).tolist() == [1, 2, 2, 3, 3, 0]


def test_a_number_that_float32_cannot_hold_is_missing() -> None:
    encoder = BucketEncoder(torch.tensor([0.0], dtype=torch.float64))
    x = torch.tensor([3.4e38, 3.5e38, float("inf"), -3.5e38, float("-inf")], dtype=torch.float64)
    assert encoder(x).tolist() == [2, 0, 0, 0, 0]


def test_without_boundaries_there_is_one_bucket_and_missing() -> None:
    encoder = BucketEncoder(torch.zeros(0, dtype=torch.float64))
    assert encoder(torch.tensor([3.0, float("nan")], dtype=torch.float64)).tolist() == [1, 0]
