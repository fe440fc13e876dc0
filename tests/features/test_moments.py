import numpy as np
import pytest

from recsys.config import NumberFeature
from recsys.features.moments import Moments, NumberState, transformed

NAN = float("nan")


def scaled(numbers: list[float], **options: object) -> list[float]:
    feature = NumberFeature(type="number", **options)
    values = np.array(numbers)
    state = Moments.of(transformed(values, feature.transform)).state(feature)
    return state.apply(values).tolist()


def test_standard_numbers_have_mean_0_and_variance_1_and_missing_is_0() -> None:
    assert scaled([1.0, 3.0, NAN, 5.0], normalize="standard") == pytest.approx([-(1.5**0.5), 0, 0, 1.5**0.5])


def test_minmax_numbers_lie_between_0_and_1_even_outside_of_the_training_range() -> None:
    feature = NumberFeature(type="number", normalize="minmax")
    state = Moments.of(np.array([10.0, 20.0])).state(feature)
    assert state.apply(np.array([10.0, 15.0, 20.0, 5.0, 99.0, NAN])).tolist() == [0, 0.5, 1, 0, 1, 0]


@pytest.mark.parametrize("normalize", ["standard", "minmax"])
@pytest.mark.parametrize("numbers", [[0.1] * 7, [3e15] * 3, [0.0, 0.0]])
def test_a_constant_column_becomes_0(normalize: str, numbers: list[float]) -> None:
    assert scaled(numbers, normalize=normalize) == pytest.approx([0.0] * len(numbers), abs=1e-9)


def test_a_column_without_numbers_becomes_0() -> None:
    assert scaled([NAN, NAN], normalize="standard") == [0.0, 0.0]


def test_log1p_keeps_the_sign() -> None:
    assert scaled([np.e - 1, 0.0, 1 - np.e, NAN], transform="log1p") == pytest.approx([1, 0, -1, 0])


def test_log_squared_begins_above_2() -> None:
    assert scaled([-5.0, 2.0, np.e, NAN], transform="log_squared") == pytest.approx([-5, 2, 1, 0])


def test_the_result_is_float32() -> None:
    assert NumberState("none", 0.0, 1.0, clip=False).apply(np.array([1.0])).dtype == np.float32


@pytest.mark.parametrize("sizes", [[10, 0, 90], [1] * 100, [50, 50]])
def test_merged_moments_are_those_of_all_numbers(sizes: list[int]) -> None:
    numbers = np.random.default_rng(0).normal(1e6, 1.0, 100)
    merged = Moments()
    for part in np.split(numbers, np.cumsum(sizes)[:-1]):
        merged = merged.merged(Moments.of(part))
    assert merged.number == 100
    assert merged.mean == pytest.approx(numbers.mean(), rel=1e-14)
    assert merged.squares == pytest.approx(numbers.var() * 100, rel=1e-6)
    assert (merged.low, merged.high) == (numbers.min(), numbers.max())
