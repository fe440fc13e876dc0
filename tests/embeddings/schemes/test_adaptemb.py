import io
from typing import Any

import numpy as np
import pytest
import torch

from recsys.config.schemes.adaptemb import AdaptEmbTable
from recsys.embeddings import FeatureVocabulary, Full
from recsys.embeddings.schemes.adaptemb import AdaptEmb
from recsys.export import script
from tests.config.loading import Problems, folder, load, problems  # noqa: F401 - fixtures


def make(size: int, ranks: torch.Tensor | None = None, **keys: Any) -> AdaptEmb:
    spec = AdaptEmbTable(features=("item",), scheme="adaptemb", **keys)
    return AdaptEmb("t", [FeatureVocabulary("item", size, ranks)], 4, spec)


def test_all_ids_hot_is_the_plain_table() -> None:
    ids = torch.arange(100)
    assert torch.equal(make(100, rate=1.0, hot=0.999).remap(ids, 0)[0], ids)
    spec = AdaptEmbTable(features=("item",), scheme="adaptemb", rate=1.0)
    assert isinstance(AdaptEmb.build("t", [FeatureVocabulary("item", 100)], 4, spec)[0], Full)


@pytest.mark.parametrize(("keys", "num_hot"), [({"hot": 0.1}, 1000), ({}, 1000), ({"hot": 0.05}, 500)])
def test_hot_rows_are_never_shared_and_cold_ids_collide_evenly(keys: dict[str, float], num_hot: int) -> None:
    table = make(10_000, rate=0.2, **keys)
    rows = table.remap(torch.arange(10_000), 0)[0]
    uses = torch.bincount(rows, minlength=2000)
    assert len(uses) == 2000
    assert uses[:num_hot].tolist() == [1] * num_hot
    assert torch.equal(rows[:num_hot], torch.arange(num_hot))
    cold, shared = 10_000 - num_hot, 2000 - num_hot
    collisions = float((uses * (uses - 1) / 2).sum())
    # `mod` deals cold ids evenly: that is all pairs / rows, less one half for each id
    assert collisions == pytest.approx(cold * (cold - 1) / 2 / shared - cold / 2, rel=0.01)
    assert uses[num_hot:].max() - uses[num_hot:].min() <= 1


def test_ranks_of_a_listed_vocabulary_decide_and_ties_are_stable() -> None:
    counts = np.array([5, 9, 1, 9, 5, 0, 2, 1, 0])  # of ids 1..9
    order = np.argsort(-counts, kind="stable")
    ranks = torch.zeros(10, dtype=torch.int64)
    ranks[1 + torch.as_tensor(order)] = torch.arange(1, 10)
    table = make(10, ranks, rate=0.6, hot=0.4)
    rows = table.remap(torch.arange(10), 0)[0].tolist()
    assert [rows[i] for i in (0, 2, 4, 1)] == [0, 1, 2, 3]  # unknown, 9, 9, then the first of the two fives
    assert sorted(rows[i] for i in (5, 7, 3, 8, 6, 9)) == [4, 4, 4, 5, 5, 5]


def test_ranks_are_counted_and_exported_once_as_int32() -> None:
    ranks = torch.arange(9999, -1, -1)
    table = make(10_000, ranks, rate=0.1)
    assert table.serving_bytes() == 4 * 4 * 1000 + 4 * 10_000
    assert make(10_000, rate=0.1).serving_bytes() == 4 * 4 * 1000
    serving = table.serving({"t_table": torch.randn(1000, 4)})
    assert torch.equal(script(serving)(torch.tensor([0, 9999]), 0), serving(torch.tensor([0, 9999]), 0))
    file = io.BytesIO()
    torch.jit.save(script(serving), file)
    assert len(file.getvalue()) < table.serving_bytes() + 20_000


def test_a_map_that_eats_what_it_saves_leaves_the_table_plain() -> None:
    spec = AdaptEmbTable(features=("item",), scheme="adaptemb", rate=0.8)
    (part,) = AdaptEmb.build("t", [FeatureVocabulary("item", 100, torch.arange(100))], 4, spec)
    assert isinstance(part, Full)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 101])
@pytest.mark.parametrize("keys", [{"rate": 0.1}, {"rate": 0.5}, {"rate": 0.11, "hot": 0.1}, {"rate": 1.0}])
def test_some_row_is_left_for_cold_ids(size: int, keys: dict[str, float]) -> None:
    table = make(size, **keys)
    assert table.num_hot < table.rows <= size
    assert int(table.remap(torch.arange(size), 0).max()) < table.rows


def test_hot_must_be_smaller_than_rate(problems: Problems) -> None:  # noqa: F811 - a fixture
    text = """\
label: y
features: {user: {type: id}}
tables:
  all: {features: [user], scheme: adaptemb, rate: 0.1, hot: 0.1}
"""
    (_, line) = problems(text)
    rule = "hot must be smaller than rate 0.1, or no row is left for the other ids, got 0.1"
    assert line == f"shop.yaml:4: tables.all: {rule}"
