"""Tests of recsys/search/shape.py."""

import json

import numpy as np
import pytest

from recsys.config.schemes.blocks import BlockShape
from recsys.search.shape import TableShape


def shape(columns, *, block_sizes=(3, 4), dim=8, **more):
    return TableShape(vocabulary="item", dim=dim, block_sizes=block_sizes, columns=columns, **more)


def kept(*ids, of=7):
    mask = np.zeros(of, bool)
    mask[list(ids)] = True
    return mask


WIDE, NARROW = tuple(range(8)), (0, 1, 5)


def test_a_shape_counts_the_bytes_of_the_rows_and_columns_that_are_left():
    assert shape((WIDE, WIDE)).serving_bytes == 4 * 7 * 8
    assert shape((WIDE, NARROW)).serving_bytes == 4 * (3 * 8 + 4 * 3)
    assert shape((WIDE, ())).serving_bytes == 4 * 3 * 8
    assert shape((WIDE, NARROW), precision="fp16").serving_bytes == 2 * (3 * 8 + 4 * 3)
    # ids 1 and 5 are left, and id 0, which no vocabulary is without
    assert shape((WIDE, NARROW), kept=kept(1, 5)).serving_bytes == 4 * (2 * 8 + 4 * 3)  # 4 rows of 3 lie together


def test_blocks_are_of_the_ids_that_are_left_and_those_that_are_alike_are_one():
    assert shape((WIDE, NARROW)).blocks == (BlockShape(3, WIDE), BlockShape(4, NARROW))
    assert shape((NARROW, NARROW)).blocks == (BlockShape(7, NARROW),)
    assert shape((WIDE, NARROW), kept=kept(5)).blocks == (BlockShape(1, WIDE), BlockShape(1, NARROW))
    assert shape((WIDE, NARROW), kept=kept(0, 1, 2)).blocks == (BlockShape(3, WIDE),)


def test_kept_ids_are_in_the_blocks_of_their_ranks():
    ranks = np.array([0, 6, 5, 4, 3, 2, 1])
    found = shape((WIDE, NARROW), kept=kept(1, 2, 6), ranks=ranks)
    assert found.blocks == (BlockShape(2, WIDE), BlockShape(2, NARROW))


@pytest.mark.parametrize(
    ("dropped", "found"),
    [
        (True, shape(((), ()))),
        (True, shape((WIDE, WIDE), kept=kept(0))),
        (True, shape((WIDE, ()), kept=kept(4, 5))),
        (True, shape((WIDE,), block_sizes=(1,))),
        (False, shape(((), NARROW))),
        (False, shape((WIDE, ()), kept=kept(1))),
    ],
)
def test_a_shape_without_a_row_of_a_known_id_is_dropped(dropped, found):
    assert found.is_dropped == dropped
    assert (found.serving_bytes == 0) == dropped


def test_a_shape_that_keeps_everything_is_whole():
    assert shape((WIDE, WIDE)).is_whole
    assert shape((WIDE, WIDE), kept=kept(1, 2, 3, 4, 5, 6)).is_whole
    assert not shape((WIDE, WIDE), kept=kept(1, 2, 3, 4, 5)).is_whole
    assert not shape((WIDE, NARROW)).is_whole


def test_widths_are_rounded_up_by_lost_columns_in_the_order_given():
    assert shape((NARROW, ())).rounded_to(4).columns == ((0, 1, 2, 5), ())
    assert shape(((3,), WIDE)).rounded_to(4).columns == ((0, 1, 2, 3), WIDE)
    order = np.array([[7, 6, 5, 4, 3, 2, 1, 0]] * 2)
    assert shape((NARROW, (7,))).rounded_to(4, order=order).columns == ((0, 1, 5, 7), (4, 5, 6, 7))


def test_rounding_leaves_widths_alone_that_are_multiples_and_never_exceeds_the_table():
    assert shape(((0, 2, 4, 6), WIDE)).rounded_to(4) == shape(((0, 2, 4, 6), WIDE))
    assert shape(((0, 1, 2, 3, 4), ()), dim=6).rounded_to(4).columns == (tuple(range(6)), ())


def test_masks_hold_one_where_something_is_kept():
    assert shape((NARROW, ())).column_mask().tolist() == [[1, 1, 0, 0, 0, 1, 0, 0], [0] * 8]
    assert shape((WIDE, WIDE)).row_mask().tolist() == [1] * 7
    assert shape((WIDE, WIDE), kept=kept(2, 3)).row_mask().tolist() == [0, 0, 1, 1, 0, 0, 0]


def test_the_unknown_id_keeps_its_row_only_where_no_other_id_becomes_unknown():
    assert shape((WIDE, WIDE), kept=kept(0, 2, 3)).row_mask()[0] == 0
    assert shape((WIDE, WIDE), kept=kept(1, 2, 3, 4, 5, 6)).row_mask()[0] == 1


def test_groups_of_columns_become_columns():
    groups = np.array([[True, False, True, True], [False, True, False, False]])
    found = TableShape.from_groups("item", dim=8, block_sizes=[3, 4], groups=groups)
    assert found == shape(((0, 1, 4, 5, 6, 7), (2, 3)))


def test_a_prefix_is_one_block_of_the_first_columns():
    assert TableShape.prefix("item", num_ids=7, dim=8, width=2) == shape(((0, 1),), block_sizes=(7,))
    assert TableShape.prefix("item", num_ids=7, dim=8, width=0).is_dropped


def test_a_shape_comes_back_from_json():
    found = shape((NARROW, ()), kept=kept(1, 2), precision="fp16")
    data = json.loads(json.dumps(found.to_json()))
    assert TableShape.from_json(data, kept=found.kept) == found
    assert TableShape.from_json(data) != found


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("must be of one length", {"columns": (WIDE,)}),
        ("hold an id at least", {"columns": (WIDE, WIDE), "block_sizes": (3, 0)}),
        ("must ascend", {"columns": ((1, 0), ())}),
        ("must ascend", {"columns": ((1, 1), ())}),
        ("must ascend", {"columns": ((8,), ())}),
        ("an entry for each id", {"columns": (WIDE, WIDE), "kept": kept(1, of=6)}),
    ],
)
def test_shapes_that_fit_no_table_are_refused(text, keys):
    with pytest.raises(ValueError, match=text):
        shape(**keys)
