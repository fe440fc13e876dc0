from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config import ResolvedTable
from recsys.config.schemes.dedup import DedupTable
from recsys.config.schemes.full import FullTable
from recsys.embeddings import FeatureVocabulary, Layout
from recsys.embeddings.budget import full_bytes, solve_budget
from recsys.embeddings.build import build_schemes
from recsys.embeddings.scheme import tensor_bytes
from recsys.embeddings.schemes.dedup import Dedup, merge
from recsys.embeddings.schemes.full import Full
from recsys.errors import ConfigError
from recsys.export import script
from recsys.testing.tiny_tables import look_up, rows, sharded
from recsys.training.strategy import table_weights
from tests.embeddings.public_data import AVAZU, CRITEO, vocabularies


def planned(**keys: Any) -> ResolvedTable:
    spec = DedupTable.model_validate({"features": ("*",), "scheme": "dedup", **keys})
    return ResolvedTable(name="t", fields=("*",), dim=16, spec=spec)


def make(sizes: list[int], *, dim: int = 4, **keys: Any) -> Dedup:
    return Dedup("t", vocabularies(sizes), dim, DedupTable(features=("*",), scheme="dedup", **keys))


def blocks(count: int, *, copies: list[int], size: int = 40) -> Tensor:
    """Return `count` different blocks and then nearly the same as those named in `copies`, (B, F)."""
    draw = torch.Generator().manual_seed(3)
    first = torch.randn(count, size, generator=draw)
    noise = 0.002 * torch.randn(len(copies), size, generator=draw)
    return torch.cat([first, first[copies] + noise])


@pytest.mark.parametrize("sizes", [CRITEO, AVAZU], ids=["criteo", "avazu"])
@pytest.mark.parametrize("budget", [0.5, 0.1, 0.01])
def test_the_largest_number_of_blocks_that_keeps_to_the_budget_is_taken(sizes: list[int], budget: float) -> None:
    spec = solve_budget(planned(budget=budget), vocabularies(sizes))
    assert isinstance(spec, DedupTable)
    assert spec.blocks is not None
    allowed = (full_bytes(vocabularies(sizes), 16) or 0) * budget
    assert Dedup.size_for(vocabularies(sizes), 16, spec) <= allowed
    assert Dedup.size_for(vocabularies(sizes), 16, spec.model_copy(update={"blocks": spec.blocks + 1})) > allowed
    num_blocks = -(-sum(sizes) // 10_000)
    assert spec.blocks == int((allowed - 4 * num_blocks) / (4 * 10_000 * 16))  # 945 blocks in Avazu, 3377 in Criteo


def test_a_budget_below_one_block_names_the_floor() -> None:
    floor = 4 * 16 * 10_000 + 4 * 3377
    with pytest.raises(ConfigError, match=r"dedup cannot be made as small as 10.0 kB; the least it can be is 653.5 kB"):
        build_schemes(planned(budget="10kB"), vocabularies(CRITEO))
    assert floor == 653_508


@pytest.mark.parametrize("keep", [1, 4, 9])
def test_bytes_are_those_of_the_exported_blocks_and_map(keep: int) -> None:
    table = make([30, 11], blocks=keep, block_rows=4)
    torch.manual_seed(0)
    weights = {"t_table": torch.randn(44, 4)}
    table.next_stage(weights)
    exported = table.serving(weights)
    assert table.serving_bytes() == tensor_bytes(exported) == 4 * 4 * 4 * keep + 4 * 11


def test_tables_that_would_not_become_smaller_stay_plain() -> None:
    (table,) = build_schemes(planned(blocks=400), vocabularies([30, 11]))
    assert type(table) is Full
    (table,) = build_schemes(planned(budget=1.0), vocabularies([3000, 11]))
    assert type(table) is Full


def test_training_takes_more_bytes_than_serving() -> None:
    table = make([3000], blocks=10)
    assert table.bytes("training", sparse="sgd", dense="adam") == 4 * 3000 * 4 + 4 * 100
    assert table.bytes("serving", sparse="sgd", dense="adam") == 4 * 10 * 30 * 4 + 4 * 100


def test_without_a_merge_it_is_a_plain_table(make_layout: Callable[..., Layout]) -> None:
    block_BF = blocks(5, copies=[0, 0])
    assert merge(block_BF, keep=7, tolerance=-1.0, similarity=0.5).tolist() == list(range(7))
    both = [FeatureVocabulary("user", 10), FeatureVocabulary("item", 5)]
    kept = Dedup("t", both, 4, DedupTable(features=("*",), scheme="dedup", blocks=15, block_rows=1))
    full = Full("t", both, 4, FullTable(features=("*",)))
    weights = {"t_table": torch.randn(15, 4)}
    kept.next_stage(weights)
    for feature_index, size in enumerate([10, 5]):
        ids = torch.arange(size)
        assert torch.equal(kept.remap(ids, feature_index), full.remap(ids, feature_index))
        assert torch.equal(kept.serving(weights)(ids, feature_index), full.serving(weights)(ids, feature_index))


def test_planted_copies_are_all_found_and_nothing_else() -> None:
    block_BF = blocks(30, copies=[7, 7, 0, 29, 12])
    map_B = merge(block_BF, keep=30, tolerance=0.01, similarity=0.7)
    groups = {frozenset((map_B == kept).nonzero().flatten().tolist()) for kept in map_B.unique().tolist()}
    assert {group for group in groups if len(group) > 1} == {
        frozenset(group) for group in ([7, 30, 31], [0, 32], [29, 33], [12, 34])
    }


@pytest.mark.parametrize("keep", [1, 2, 10, 25, 34])
def test_the_map_is_idempotent_and_any_budget_is_met(keep: int) -> None:
    map_B = merge(blocks(30, copies=[7, 7, 0, 29, 12]), keep=keep, tolerance=0.01, similarity=0.7)
    assert len(map_B.unique()) == keep
    assert torch.equal(map_B[map_B], map_B)


def test_fine_tuning_moves_all_referents_together(make_layout: Callable[..., Layout]) -> None:
    spec = {"features": ["user", "item", "tags"], "scheme": "dedup", "blocks": 2, "block_rows": 2}
    layout = make_layout({"all": spec}, jagged=True)
    model = sharded(layout).eval()
    (table,) = layout.schemes.values()
    table.next_stage(table_weights(model))
    same = table.remap(torch.arange(10), 0)[0]
    first, second = next((a, b) for a in range(10) for b in range(a) if same[a] == same[b])
    batch = layout.collate(rows(user=[first], item=[0], tags=[[]], clicks=[[]]))
    before = table.serving(table_weights(model))(torch.tensor([first, second]), 0).clone()
    look_up(model, layout, batch)["user"][0].sum().backward()
    after = table.serving(table_weights(model))(torch.tensor([first, second]), 0)
    assert torch.equal(after[0], after[1])
    assert not torch.equal(before, after)


def test_blocks_of_small_values_go_first_and_are_what_stays() -> None:
    """Two pairs of twins, of which one must go: the pair of the smaller third quartile loses its larger block."""
    draw = torch.Generator().manual_seed(0)
    small, large = 0.1 * torch.randn(50, generator=draw), torch.randn(50, generator=draw)
    block_BF = torch.stack([large, small + 0.001, large + 0.001, small])
    assert merge(block_BF, keep=3, tolerance=0.01, similarity=0.7).tolist() == [0, 3, 2, 3]


def test_the_share_of_floats_that_are_alike_decides() -> None:
    first = torch.randn(1, 100, generator=torch.Generator().manual_seed(0))
    block_BF = torch.cat([first, first, first, 9 + torch.randn(1, 100)])
    block_BF[1, :30] += 0.05  # as many as may differ
    block_BF[2, :31] += 0.05
    map_B = merge(block_BF, keep=3, tolerance=0.01, similarity=0.7)
    assert map_B[0] == map_B[1]
    assert len(map_B.unique()) == 3


def test_the_same_blocks_are_merged_every_time_and_no_random_state_is_touched() -> None:
    block_BF = blocks(60, copies=list(range(20)))
    state = torch.get_rng_state()
    first = merge(block_BF, keep=20, tolerance=0.01, similarity=0.7)
    torch.manual_seed(5)
    assert torch.equal(merge(block_BF, keep=20, tolerance=0.01, similarity=0.7), first)
    torch.set_rng_state(state)
    merge(block_BF, keep=20, tolerance=0.01, similarity=0.7)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("num_ids", "expected"), [(34, 1), (1999, 19), (10**6, 10_000), (5 * 10**7, 10_000)])
def test_small_tables_have_small_blocks(num_ids: int, expected: int) -> None:
    assert make([num_ids], blocks=2).block_rows == expected
    assert make([num_ids], blocks=2, block_rows=7).block_rows == 7


def test_edge_ids_duplicates_and_an_empty_batch() -> None:
    table = make([9, 12], blocks=2, block_rows=5)
    weights = {"t_table": torch.randn(25, 4)}
    table.next_stage(weights)
    exported = script(table.serving(weights))
    rows_V4 = weights["t_table"][table.remap(torch.tensor([0, 11, 11]), 1)[0]]
    assert torch.equal(exported(torch.tensor([0, 11, 11]), 1), rows_V4)
    assert exported(torch.empty(0, dtype=torch.int64), 0).shape == (0, 4)
    assert table.remap(torch.empty(0, dtype=torch.int64), 0).shape == (1, 0)


@pytest.mark.proof
@pytest.mark.parametrize("keep", [2500, 500])
def test_five_thousand_blocks_are_merged_in_minutes(keep: int) -> None:
    """50 M rows of width 4; the table itself is 0.8 GB."""
    import resource
    import time

    table = make([50_000_000], blocks=keep)
    weight = torch.randn(50_000_000, 4, generator=torch.Generator().manual_seed(0)).mul_(0.05)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    table.next_stage({"t_table": weight})
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    print(f"{keep} of 5000 blocks: {time.perf_counter() - start:.0f} s, {taken:.2f} GB more")
    assert len(table.block_map.unique()) == keep
    assert taken < 1.0
