"""The acceptance checks 9, 13 to 17 and 19 to 21 of OptEmbed that concern its search; 9 to 12 are in test_evolution.py.

Those of its gate are in tests/embeddings/gates/test_optembed.py.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.data.prepared import Prepared
from recsys.search.candidate import Candidate
from recsys.search.evolution import Evolution, Genes, Individual, evolve
from recsys.search.methods.base import Request, find_method
from recsys.search.methods.optembed import FLAT, ROW_SHARES, Encoding, OptEmbed, row_levels
from recsys.search.sample import Sample
from recsys.search.supernet import gated_tables, shapes_applied, table_bytes
from recsys.training.build import LoadedModel
from recsys.training.strategy import table_weights
from tests.search.nets import build_supernet, make_prepared

FULL = 4 * 8 * (21 + 13)
"""Bytes of the tables of `user` and `item`."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("log"))


@pytest.fixture
def supernet(prepared: Prepared) -> LoadedModel:
    """A supernet whose rows differ widely; a fifth of the users are below the threshold."""
    loaded = build_supernet(prepared, "optembed", num_blocks=2)
    weights = table_weights(loaded.model)
    for weight in weights.values():
        weight.mul_(100)
    weights["user_table"][-4:] = 0
    return loaded


def search(
    loaded: LoadedModel, prepared: Prepared, state: Path, budgets: list[int], generations: int = 3
) -> list[Candidate]:
    method = OptEmbed()
    method.evolution = Evolution(generations=generations)
    return list(method.candidates(Request(loaded=loaded, prepared=prepared, budgets=budgets, state=state)))


def test_9_and_13_the_search_leaves_the_supernet_as_it_was_and_never_reads_the_test_rows(
    supernet: LoadedModel, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = supernet.model.module.dense_arch
    before = {name: value.clone() for name, value in dense.state_dict().items()}
    rows = {name: weight.clone() for name, weight in table_weights(supernet.model).items()}
    monkeypatch.delitem(prepared.splits, "test")
    for candidate in search(supernet, prepared, tmp_path, [FULL // 2, FULL // 4]):
        assert table_bytes(supernet, candidate.shapes).serving <= FULL // 2
    assert all(torch.equal(dense.state_dict()[name], value) for name, value in before.items())
    assert all(torch.equal(table_weights(supernet.model)[name], row) for name, row in rows.items())


def test_9_a_recorded_auc_is_found_again(supernet: LoadedModel, prepared: Prepared) -> None:
    sample, encoding = Sample(supernet, prepared.splits["valid"]), Encoding(supernet)

    def auc(genes: Genes) -> float:
        with shapes_applied(supernet, encoding.shapes(genes)):
            return sample.auc()

    for one in evolve(auc, encoding.sizes, Evolution(generations=2), seed=1)[:5]:
        assert auc(one.genes) == one.fitness


def test_a_search_that_was_killed_goes_on_to_the_same_candidates(
    supernet: LoadedModel, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search(supernet, prepared, tmp_path / "whole", [FULL // 2])
    search(supernet, prepared, tmp_path / "killed", [FULL // 2], generations=2)
    resumed = search(supernet, prepared, tmp_path / "killed", [FULL // 2])
    assert [one.name for one in resumed] == [one.name for one in whole]
    monkeypatch.setattr(Sample, "auc", lambda _: pytest.fail("measured again"))
    monkeypatch.setattr(Sample, "loss", lambda _: pytest.fail("measured again"))
    assert search(supernet, prepared, tmp_path / "whole", [FULL // 2])[0].name == whole[0].name


def test_14_a_penalty_on_size_finds_the_width_that_carries_the_signal() -> None:
    needed = np.array([1, 4, 0, 7])

    def fitness(genes: Genes) -> float:
        return -float(np.maximum(needed - genes, 0).sum()) - 0.01 * sum(genes)

    found = evolve(fitness, (9,) * 4, Evolution(generations=30), seed=1)[0].genes
    assert found == tuple(needed)
    unpunished = evolve(lambda genes: fitness(genes) + 0.01 * sum(genes), (9,) * 4, Evolution(generations=30), seed=1)
    assert all(one >= width for one, width in zip(unpunished[0].genes, needed, strict=True))


@pytest.mark.parametrize("genes", [(0, 2, 2), (3, 1, 2), (9, 2, 0), (5, 0, 0)])
def test_15_sparsity_is_the_same_by_formula_and_by_count(genes: Genes, supernet: LoadedModel) -> None:
    encoding = Encoding(supernet)
    shapes = encoding.shapes(genes)
    kept = {name: mask for name, mask in encoding.levels[genes[0]].items() if mask is not None}
    by_formula = sum(4 * int(kept[name][1:].sum()) * groups for (name, groups) in zip(kept, genes[1:], strict=True))
    with shapes_applied(supernet, shapes):
        by_count = sum(
            int(scheme.gated_rows(table_weights(supernet.model))[1:].count_nonzero())
            for scheme in gated_tables(supernet).values()
        )
    assert by_formula == by_count
    unknown = sum(4 * groups for name, groups in zip(kept, genes[1:], strict=True) if kept[name][1:].any())
    assert encoding.bytes_of(genes) == 2 * (by_formula + unknown)


def test_16_ids_of_pruned_rows_are_the_zero_vector(supernet: LoadedModel) -> None:
    encoding = Encoding(supernet)
    shapes = encoding.shapes((0, 2, 2))
    assert shapes["user"].kept is not None
    with shapes_applied(supernet, shapes):
        rows = gated_tables(supernet)["user"].gated_rows(table_weights(supernet.model))
    assert not rows[-4:].any()
    assert not rows[0].any()
    assert rows[1:-4].all()


def test_17_a_vocabulary_without_rows_or_columns_is_dropped(supernet: LoadedModel) -> None:
    table_weights(supernet.model)["user_table"].zero_()
    encoding = Encoding(supernet)
    assert encoding.shapes((0, 2, 2))["user"].is_dropped
    assert encoding.shapes((0, 2, 2))["user"].serving_bytes == 0
    assert encoding.shapes((0, 2, 0))["item"].is_dropped


def test_widths_that_do_nothing_are_not_left_to_chance(supernet: LoadedModel) -> None:
    encoding = Encoding(supernet)
    known = [Individual((0, 2, 2), 0.8), Individual((0, 2, 1), 0.8 - FLAT / 2), Individual((0, 1, 1), 0.8 - 2 * FLAT)]
    assert encoding.smallest_good(known, FULL) == (0, 2, 1)
    assert encoding.smallest_good(known[::2], FULL) == (0, 2, 2)
    assert encoding.smallest_good(known, encoding.bytes_of((0, 1, 1))) == (0, 1, 1)
    assert encoding.smallest_good(known, 0) == (0, 1, 1)  # what is nearest


def test_levels_keep_shares_of_the_rows_above_their_thresholds(supernet: LoadedModel) -> None:
    levels = row_levels(supernet)
    counts = [sum(int(kept[1:].sum()) for kept in level.values() if kept is not None) for level in levels]
    assert counts == [round(share * (20 - 4 + 12)) for share in ROW_SHARES]
    for more, fewer in pairwise(levels):
        for name, kept in fewer.items():
            assert kept is not None
            assert more[name] is not None
            assert not (kept & ~more[name])[1:].any()  # type: ignore[operator]


def test_gates_that_do_not_judge_rows_have_a_single_level(prepared: Prepared) -> None:
    loaded = build_supernet(prepared, "nested", num_blocks=2)
    assert row_levels(loaded) == [{"user": None, "item": None}]
    assert Encoding(loaded).shapes((0, 1, 2))["user"].kept is None


def test_each_budget_has_a_candidate_within_it(supernet: LoadedModel, prepared: Prepared, tmp_path: Path) -> None:
    budgets = [FULL // 2, FULL // 4, FULL // 8]
    found = search(supernet, prepared, tmp_path, budgets)
    sizes = [table_bytes(supernet, one.shapes).serving for one in found]
    assert all(any(size <= budget for size in sizes) for budget in budgets)
    assert [one.name for one in found] == [f"{size}-bytes" for size in sizes]
    assert find_method("optembed") is OptEmbed
