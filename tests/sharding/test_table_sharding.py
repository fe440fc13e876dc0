"""Splitting the rows and columns of a table."""

from recsys.sharding.table_sharding import can_split_rows, shard_width


def test_rows_are_split_into_equal_blocks_of_which_none_may_be_empty() -> None:
    for num_ranks in (2, 3, 8):
        for rows in range(1, 40):
            block = -(-rows // num_ranks)
            assert can_split_rows(rows, num_ranks) == (rows > block * (num_ranks - 1))


def test_a_row_of_four_floats_is_not_split() -> None:
    assert shard_width(4, 2) is None
