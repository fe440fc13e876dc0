import pytest
import torch

from recsys.errors import EnvironmentError_
from recsys.training.memory import explaining_out_of_memory

TABLES = [("user", 3 * 2**30), ("item", 2**29), ("shop", 2**28), ("city", 1)]


def test_an_allocation_that_fails_names_the_largest_tables_and_what_to_change() -> None:
    with (
        pytest.raises(EnvironmentError_, match=r"user \(3.2 GB\), item \(536.9 MB\), shop \(268.4 MB\)") as raised,
        explaining_out_of_memory(lambda: TABLES),
    ):
        torch.empty(2**60, dtype=torch.uint8)
    remedies = [
        "budget",
        "unified, for user",
        "sharding: row_wise",
        "placement: uvm",
        "precision: fp16",
        "batch_size",
    ]
    for remedy in remedies:
        assert remedy in str(raised.value)
    assert "city" not in str(raised.value)


def test_memory_of_cuda_is_explained_too() -> None:
    with pytest.raises(EnvironmentError_, match="torch: CUDA out of memory"), explaining_out_of_memory(list):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), explaining_out_of_memory(list):
        raise RuntimeError("shapes differ")
