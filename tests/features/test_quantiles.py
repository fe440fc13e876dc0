import numpy as np
import pytest

from recsys.features.quantiles import OrderedCounts, from_ordered, quantile_boundaries, to_ordered


def counted(numbers: np.ndarray, *, limit: int = 2**18, pieces: int = 1) -> OrderedCounts:
    total = OrderedCounts(limit)
    for piece in np.array_split(np.asarray(numbers, dtype=np.float64), pieces):
        part = OrderedCounts(limit)
        part.add(to_ordered(piece))
        total.merge(part)
    return total


def test_integers_stand_in_the_order_of_their_floats_and_lead_back_to_them() -> None:
    numbers = np.array([-1e308, -2.5, -1e-310, 0.0, 5e-324, 1.0, 1.0000000000000002, 1e308])
    assert (np.diff(to_ordered(numbers)) > 0).all()
    assert from_ordered(to_ordered(numbers)).tolist() == numbers.tolist()


def test_negative_zero_is_zero() -> None:
    assert to_ordered(np.array([-0.0])).tolist() == to_ordered(np.array([0.0])).tolist() == [0]


@pytest.mark.parametrize(
    ("numbers", "buckets", "expected"),
    [
        (np.arange(100), 4, [25, 50, 75]),
        ([3, 1, 2, 4], 2, [3]),
        ([0, 0, 0, 0, 0, 0, 1, 2], 4, [1]),
        ([0, 0, 0, 5], 4, [5]),
        ([7, 7, 7], 4, []),
        ([], 4, []),
        ([-3, -2, -1], 3, [-2, -1]),
        ([1, 2], 10, [2]),
    ],
)
def test_boundaries_cut_known_data_into_equal_parts(numbers: np.ndarray, buckets: int, expected: list[float]) -> None:
    assert quantile_boundaries(counted(numbers), buckets).tolist() == expected


@pytest.mark.parametrize("pieces", [2, 7, 40])
def test_boundaries_do_not_depend_on_pieces_even_when_values_are_rounded(pieces: int) -> None:
    numbers = np.exp(np.random.default_rng(0).normal(size=20_000))
    whole, parts = counted(numbers, limit=1000), counted(numbers, limit=1000, pieces=pieces)
    np.testing.assert_array_equal(quantile_boundaries(parts, 32), quantile_boundaries(whole, 32))
    assert parts.dropped == whole.dropped > 0


def test_rounded_boundaries_are_within_the_promised_error() -> None:
    numbers = np.random.default_rng(0).normal(size=50_000)
    rounded = counted(numbers, limit=1000, pieces=5)
    exact = quantile_boundaries(counted(numbers), 16)
    np.testing.assert_allclose(quantile_boundaries(rounded, 16), exact, rtol=2.0 ** (rounded.dropped - 52))
    assert 2.0 ** (rounded.dropped - 52) < 0.1


def test_no_more_cells_are_kept_than_the_limit() -> None:
    numbers = np.random.default_rng(0).normal(size=50_000)
    rounded = counted(numbers, limit=1000, pieces=5)
    rounded.at_ranks(np.array([0]))
    assert 500 < rounded.cells.num_stored <= 1000
