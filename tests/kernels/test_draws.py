"""Draws of 16 bits: the same with kernels and without, and uniform."""

import pytest
import torch

from recsys.kernels.draws import draw, draw_factors
from tests.kernels.plain import needs_kernels, without_kernels


def seeded(seed: int, count: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return draw(count)


@needs_kernels
@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("count", [0, 1, 4, 5, 1003, 100_000])
def test_draws_are_the_same_with_kernels_and_without(count: int) -> None:
    native = [seeded(seed, count) for seed in range(20)]
    with without_kernels():
        plain = [seeded(seed, count) for seed in range(20)]
    assert all(torch.equal(one, other) for one, other in zip(native, plain, strict=True))


@needs_kernels
@pytest.mark.usefixtures("kernels")
def test_the_number_of_threads_does_not_change_a_bit() -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(seeded(7, 300_001))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_draws_are_uniform_and_of_one_another_and_of_neighbours_independent() -> None:
    count = 400_000
    first, second = seeded(1, count).double(), seeded(2, count).double()
    spread = 2**16 / 12**0.5
    for numbers in (first, second):
        assert abs(numbers.mean() + 0.5) < 5 * spread / count**0.5
        assert numbers.std() == pytest.approx(spread, rel=0.005)
        counts = torch.histc(numbers, bins=64, min=-(2**15), max=2**15 - 1)
        assert ((counts - count / 64).square() / (count / 64)).sum() < 63 + 5 * (2 * 63) ** 0.5
    for lag in (1, 2, 3, 4, 8):
        assert abs(torch.corrcoef(torch.stack([first[lag:], first[:-lag]]))[0, 1]) < 5 / count**0.5
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 5 / count**0.5


@pytest.mark.parametrize("shape", [(3,), (1000, 7), (10, 2, 5, 5)], ids=str)
def test_a_share_of_factors_is_zero_the_rest_makes_up_for_it_and_the_seed_says_which(shape: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    factors = draw_factors(shape, 0.25, torch.float64)
    assert factors.shape == shape
    assert set(factors.unique().tolist()) <= {0.0, 4 / 3}
    assert factors.mean() == pytest.approx(1, abs=4 / factors.numel() ** 0.5)
    torch.manual_seed(3)
    assert torch.equal(draw_factors(shape, 0.25, torch.float64), factors)


def test_every_draw_moves_on_the_state_of_the_generator() -> None:
    torch.manual_seed(3)
    assert not torch.equal(draw(100), draw(100))


def test_the_first_words_are_those_of_the_reference() -> None:
    """Of SplitMix64 for 1234567, as the page of Rosetta Code has them."""
    from recsys.kernels.draws import _STEP, _mix

    words = [word % 2**64 for word in _mix((1234567 + _STEP) % 2**64, 5).tolist()]
    assert words == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
