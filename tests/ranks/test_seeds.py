from recsys.ranks.seeds import derive_seed


def test_seeds_never_change_since_runs_are_resumed_with_them() -> None:
    assert derive_seed(1) == 4259241206155935355
    assert derive_seed(1, "rank", 2) == 6486317021147862300


def test_each_part_makes_another_seed_of_63_bits() -> None:
    seeds = {derive_seed(seed, purpose) for seed in range(100) for purpose in ("rows", "rank")}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)
