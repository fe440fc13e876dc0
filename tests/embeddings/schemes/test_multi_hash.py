"""Hash embeddings: sums of hashed rows, weighted or not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config import ResolvedTable
from recsys.config.schemes.multi_hash import MultiHashTable
from recsys.embeddings import FeatureVocabulary, Layout, build_schemes
from recsys.embeddings.schemes.multi_hash import MultiHash
from recsys.errors import ConfigError
from recsys.testing.tiny_tables import look_up, rows, sharded
from recsys.training.strategy import table_weights
from tests.embeddings.public_data import AVAZU, CRITEO, vocabularies


def spec(**keys: Any) -> MultiHashTable:
    return MultiHashTable(features=("a",), scheme="multi_hash", **keys)


def planned(**keys: Any) -> ResolvedTable:
    return ResolvedTable(name="t", fields=("a",), dim=16, spec=spec(**keys))


def test_an_embedding_is_the_sum_of_its_rows() -> None:
    made = MultiHash("t", [FeatureVocabulary("a", 30), FeatureVocabulary("b", None)], 4, spec(rows=11, hashes=3))
    weight = torch.randn(11, 4)
    ids = torch.tensor([0, 29, -5])
    row_KV = made.remap(ids, 1)
    torch.testing.assert_close(made.serving({"t_table": weight})(ids, 1), weight[row_KV].sum(dim=0))


def test_weights_of_an_id_multiply_its_rows() -> None:
    made = MultiHash("t", [FeatureVocabulary("a", 30)], 4, spec(rows=11, hashes=2, importance_rows=7))
    weights = {"t_table": torch.randn(11, 4), "t_tableimportance": torch.randn(7, 4)}
    ids = torch.arange(30)
    first_V, second_V, importance_V = made.remap(ids, 0)
    assert int(importance_V.max()) < 7
    p, e = weights["t_tableimportance"][importance_V], weights["t_table"]
    expected = p[:, 0:1] * e[first_V] + p[:, 1:2] * e[second_V]
    torch.testing.assert_close(made.serving(weights)(ids, 0), expected)


def test_weights_begin_near_1_and_are_learnt(make_layout: Callable[..., Layout]) -> None:
    table = {"features": ["user", "item"], "scheme": "multi_hash", "rows": 9, "importance_rows": 5}
    layout = make_layout({"t": table})
    model = sharded(layout, lr=1.0)
    weight = table_weights(model)["t_tableimportance"]
    before = weight.clone()
    assert float((before - 1).abs().max()) < 0.1
    batch = layout.collate(rows([1, 2], [3, 4], [[]] * 2, [[]] * 2))
    looked = look_up(model, layout, batch)
    total = sum(layout.schemes["t"].combine(looked[n], batch.ids[n], i).sum() for i, n in enumerate(["user", "item"]))
    assert isinstance(total, Tensor)
    total.backward()
    moved = (weight != before).any(dim=0).tolist()
    assert moved == [True, True, False, False]  # of four weights, two hashes use two


@pytest.mark.parametrize(("importance_rows", "form"), [(0, "bag"), (5, "jagged")])
def test_only_unweighted_rows_are_summed_by_the_kernel(
    importance_rows: int, form: str, make_layout: Callable[..., Layout]
) -> None:
    keys = {"scheme": "multi_hash", "rows": 9, "importance_rows": importance_rows, "exact_below": 0}
    layout = make_layout({"t": {"features": ["tags"], **keys}})
    assert layout.field_lookups["tags"].form == form


def test_new_features_change_no_rows_and_two_features_differ() -> None:
    keys = spec(rows=1000, importance_rows=100)
    alone = MultiHash("t", [FeatureVocabulary("a", None)], 4, keys)
    beside = MultiHash("t", [FeatureVocabulary("b", None), FeatureVocabulary("a", None)], 4, keys)
    ids = torch.arange(1000)
    assert torch.equal(alone.remap(ids, 0), beside.remap(ids, 1))
    assert float((beside.remap(ids, 0) == beside.remap(ids, 1)).float().mean()) < 0.02


def test_two_ids_seldom_share_all_their_rows() -> None:
    n, m = 3000, 16
    row_KV = MultiHash("t", [FeatureVocabulary("a", n)], 4, spec(rows=m)).remap(torch.arange(n), 0)
    counts = torch.bincount(row_KV[0] * m + row_KV[1])
    pairs, expected = int((counts * (counts - 1) // 2).sum()), n * (n - 1) / 2 / m**2
    assert abs(pairs - expected) < 5 * expected**0.5


def test_rows_per_feature_are_proportional_and_small_vocabularies_stay_full_tables() -> None:
    keys = spec(rows=1000, importance_rows=100, per_feature=True)
    parts = MultiHash.build("t", vocabularies([6000, 3990, 10, 5]), 4, keys)
    assert [[t.rows for t in part.physical_tables()] for part in parts] == [[600, 60], [399, 39], [1, 1], [5]]
    assert [part.name for part in parts] == ["t/f0", "t/f1", "t/f2", "t/f3"]


def test_per_feature_tables_that_would_not_shrink_stay_full_tables() -> None:
    parts = MultiHash.build("t", vocabularies([1000, 7]), 4, spec(rows=900, importance_rows=50, per_feature=True))
    named = [(type(part).__name__, part.serving_bytes()) for part in parts]
    assert named == [("MultiHash", 4 * 4 * (893 + 49)), ("Full", 4 * 4 * 7)]


@pytest.mark.parametrize("keys", [{}, {"per_feature": True}, {"importance_rows": 1000}])
@pytest.mark.parametrize("sizes", [CRITEO, AVAZU], ids=["criteo", "avazu"])
@pytest.mark.parametrize("ratio", [0.5, 0.1, 0.001])
def test_a_budget_is_kept_and_used_up(ratio: float, sizes: list[int], keys: dict[str, Any]) -> None:
    parts = build_schemes(planned(budget=ratio, **keys), vocabularies(sizes))
    allowed, found = int(ratio * 64 * sum(sizes)), sum(part.serving_bytes() for part in parts)
    slack = 64 * len(sizes) if "per_feature" in keys else 64
    assert found <= allowed < found + slack


def test_a_budget_out_of_reach_names_the_floor() -> None:
    floor = 64 * 5 + 16 * 10 + 64  # the exact vocabulary, importance, and one row
    with pytest.raises(ConfigError, match=rf"multi_hash cannot be made as small as 500 B; .* is {floor} B"):
        build_schemes(planned(budget="500B", importance_rows=10), vocabularies([100, 5]))


def test_training_bytes_are_those_of_serving_without_an_optimizer() -> None:
    made = MultiHash("t", vocabularies([100]), 4, spec(rows=11, importance_rows=7))
    assert made.bytes("training", sparse="sgd", dense="adam") == made.serving_bytes() == 4 * 4 * (11 + 7)
