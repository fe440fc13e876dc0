import pytest

from recsys.ranks import SINGLE_PROCESS, World, rank_slice


def test_rank_zero_is_the_first_of_all_hosts() -> None:
    assert SINGLE_PROCESS.is_rank_zero
    assert not World(rank=4, size=8, local_rank=0, local_size=4).is_rank_zero
    assert World(rank=4, size=8, local_rank=0, local_size=4).num_hosts == 2


@pytest.mark.parametrize(("num_rows", "size"), [(0, 3), (2, 3), (10, 4), (12, 4)])
def test_ranks_have_all_rows_in_order_and_about_as_many_each(num_rows: int, size: int) -> None:
    parts = [range(num_rows)[rank_slice(num_rows, rank, size)] for rank in range(size)]
    assert [row for part in parts for row in part] == list(range(num_rows))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
