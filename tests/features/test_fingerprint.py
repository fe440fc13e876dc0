import numpy as np
import polars as pl

from recsys.features.fingerprint import NULL_KEY, cross_key, mix64, xxhash64_keys


def signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def test_mix64_agrees_with_the_published_output_of_splitmix64() -> None:
    # SplitMix64 with seed 1234567 (Rosetta Code, "Pseudo-random numbers/Splitmix64"): state i is seed + i * gamma.
    gamma, seed = 0x9E3779B97F4A7C15, 1234567
    states = np.array([signed((seed + i * gamma) % 2**64) for i in (1, 2, 3)])
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert mix64(states).tolist() == [signed(value) for value in expected]


def test_mix64_has_no_collisions_among_neighbours() -> None:
    assert len(np.unique(mix64(np.arange(-50_000, 50_000)))) == 100_000


def test_mix64_does_not_change_its_argument() -> None:
    keys = np.array([1, 2])
    mix64(keys)
    assert keys.tolist() == [1, 2]


def test_cross_key_is_the_fold_of_its_members() -> None:
    a, b, c = np.array([5]), np.array([-7]), np.array([9])
    assert cross_key([a, b, c]).tolist() == mix64(mix64(mix64(a) ^ b) ^ c).tolist()


def test_cross_key_depends_on_the_order_and_not_on_sums() -> None:
    pairs = [[1, 2], [2, 1], [0, 3], [3, 0]]
    assert len({int(cross_key([np.array([x]), np.array([y])])[0]) for x, y in pairs}) == 4


def test_text_keys_are_xxhash64_with_seed_0() -> None:
    # The published test vectors of xxHash: XXH64("", 0), XXH64("a", 0), XXH64("abc", 0).
    expected = [0xEF46DB3751D8E999, 0xD24EC4F1A98C6E5B, 0x44BC2CF5AD770999]
    assert xxhash64_keys(pl.Series(["", "a", "abc"])).to_list() == [signed(value) for value in expected]


def test_null_text_is_the_null_key_and_the_empty_text_is_not() -> None:
    assert xxhash64_keys(pl.Series([None, ""], dtype=pl.String)).to_list() == [NULL_KEY, signed(0xEF46DB3751D8E999)]
