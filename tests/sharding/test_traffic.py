"""Bytes that ranks exchange in a step."""

from collections.abc import Callable
from typing import Any

from recsys.sharding import Machine
from tests.sharding.plans import cpus, make_layout, make_plan


def traffic(sharding: str, machine: Callable[[], Machine], **changes: Any) -> list[tuple[float, float]]:
    """Return each rank's bytes inside and between hosts, for a single table of 16 floats a row."""
    layout = make_layout({"user": 1000, "item": 1000, "tags": 1000}, {"sharding": sharding})
    layout.pooled_keys = {"t_user_table": layout.pooled_keys["t_user_table"]}
    plan = make_plan(layout, machine(), batch_size=1600, **changes)
    return [(rank.traffic.intra_host, rank.traffic.inter_host) for rank in plan.ranks]


def test_ids_are_sent_once_and_vectors_twice() -> None:
    """800 rows on each of two ranks; a row reads one id and gets 16 floats."""
    ids, lengths, vectors = 800 * 8, 800 * 4, 800 * 16 * 4
    assert traffic("table_wise", lambda: cpus(2)) == [(ids + lengths + 2 * vectors, 0.0)] * 2
    assert traffic("row_wise", lambda: cpus(2)) == [(ids / 2 + lengths + 2 * vectors, 0.0)] * 2
    assert traffic("column_wise", lambda: cpus(2)) == [(ids + lengths + 2 * vectors / 2, 0.0)] * 2
    halved = traffic("table_wise", lambda: cpus(2), communication="bf16")
    assert halved == [(ids + lengths + vectors, 0.0)] * 2


def test_a_table_that_is_split_inside_a_host_is_summed_there_before_it_is_sent() -> None:
    """400 rows on each of four ranks of two hosts; the table is on both ranks of one of them."""
    ids, lengths, vectors = 400 * 8 / 2, 400 * 4, 400 * 16 * 4
    found = traffic("table_row_wise", lambda: cpus(4, 2))
    # Its ranks: ids from the neighbour, sums for the rows of both hosts' ranks, then what goes to the other host.
    holders = (ids + lengths + 2 * 2 * vectors, 2 * (ids + lengths) + 2 * vectors)
    others = (0.0, 2 * (ids + lengths) + 2 * vectors)
    assert sorted(found) == sorted([holders, holders, others, others])
