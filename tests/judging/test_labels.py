from itertools import combinations

import numpy as np

from recsys.judging.labels import Box, place_labels

BOUNDS = Box(0, 0, 400, 300)


def overlap(one: Box, other: Box) -> bool:
    return one.left < other.right and other.left < one.right and one.bottom < other.top and other.bottom < one.top


def test_a_label_stands_beside_its_point() -> None:
    (box,) = place_labels(np.array([[100.0, 100.0]]), [(40, 10)], BOUNDS)
    assert (box.left - 100, (box.top + box.bottom) / 2, box.right - box.left) == (7, 100, 40)


def test_labels_of_points_at_one_place_cover_neither_each_other_nor_a_point_and_keep_their_order() -> None:
    points = np.array([[200.0, 150.0 - 2 * number] for number in range(20)])
    boxes = place_labels(points, [(60, 10)] * 20, BOUNDS)
    assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    marks = [Box(x - 4, y - 4, x + 4, y + 4) for x, y in points.tolist()]
    assert not any(overlap(box, mark) for box in boxes for mark in marks)
    assert all(BOUNDS.left <= box.left and box.right <= BOUNDS.right for box in boxes)


def test_a_label_at_the_edge_stands_on_the_other_side() -> None:
    (box,) = place_labels(np.array([[390.0, 100.0]]), [(60, 10)], BOUNDS)
    assert box.right == 383


def test_a_label_for_which_there_is_no_room_is_still_placed() -> None:
    points = np.array([[20.0, 10.0]] * 30)
    assert len(place_labels(points, [(30, 10)] * 30, Box(0, 0, 60, 20))) == 30
