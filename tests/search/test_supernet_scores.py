"""The model that a search ends in scores as the masked supernet before it is trained again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from recsys.data.prepare import prepare_split
from recsys.data.prepared import Prepared
from recsys.features.vocabulary import Vocabulary
from recsys.search.cuts import whole_shapes, with_columns
from recsys.search.shape import TableShape
from recsys.search.supernet import gated_tables, score_shapes
from recsys.training.build import LoadedModel, score_alone
from recsys.training.strategy import table_weights
from tests.search.materialize import columns_of, materialize
from tests.search.nets import build_model, build_supernet, make_prepared, padded_blocks

MODEL = {"tower": "mlp", "dim": 16, "mlp": [16], "batch_norm": True}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("log"), model=MODEL)


@pytest.fixture(params=["nested", "dnis"])
def supernet(request: pytest.FixtureRequest, prepared: Prepared) -> LoadedModel:
    """A supernet whose rows differ widely, and whose gates have learnt something."""
    loaded = build_supernet(prepared, request.param, num_blocks=2)
    for weight in table_weights(loaded.model).values():
        weight.mul_(100)
    for scheme in gated_tables(loaded).values():
        leaves = scheme.gate.leaves()
        if leaves:
            scheme.gate.learn([torch.arange(leaf.numel()).view_as(leaf).float() for leaf in leaves])
    return loaded


def model_of(shapes: dict[str, TableShape], prepared: Prepared) -> LoadedModel:
    config, tables = prepared.resolved.config, {name: padded_blocks(shape) for name, shape in shapes.items()}
    return build_model(config.replaced(tables=tables), prepared)


def test_blocks_of_columns_score_as_the_masked_supernet(supernet: LoadedModel, prepared: Prepared) -> None:
    whole = whole_shapes(supernet)
    user = with_columns(whole["user"], {0: (0, 1, 2, 3, 8, 9, 10, 11), 1: (4, 5, 6, 7)})
    item = with_columns(whole["item"], {0: tuple(range(8))})
    check_same({"user": user, "item": item}, supernet, prepared)


def test_a_block_without_rows_scores_as_the_masked_supernet(supernet: LoadedModel, prepared: Prepared) -> None:
    check_same({"user": with_columns(whole_shapes(supernet)["user"], {1: ()})}, supernet, prepared)


def check_same(shapes: dict[str, TableShape], supernet: LoadedModel, prepared: Prepared) -> None:
    model = model_of(shapes, prepared)
    materialize(supernet, shapes, model)
    valid = prepared.splits["valid"]
    found, expected = score_alone(model, valid), score_shapes(supernet, valid, shapes)
    assert_allclose(found.probabilities, expected.probabilities, atol=1e-6, rtol=0)
    assert not np.allclose(found.probabilities, score_alone(supernet, valid).probabilities, atol=1e-4)


def test_what_is_whole_scores_bit_for_bit(prepared: Prepared) -> None:
    supernet = build_supernet(prepared, num_blocks=2)
    for weight in table_weights(supernet.model).values():
        weight.mul_(100)
    valid = prepared.splits["valid"]
    model = build_model(prepared.resolved.config, prepared)
    materialize(supernet, {}, model)
    assert_array_equal(score_alone(model, valid).probabilities, score_alone(supernet, valid).probabilities)


def test_values_whose_rows_are_not_kept_are_unknown_and_score_as_before(
    supernet: LoadedModel, prepared: Prepared, tmp_path: Path
) -> None:
    before = prepared.state.vocabularies["user"]
    kept = np.arange(before.size) % 3 != 1
    shape = replace(with_columns(whole_shapes(supernet)["user"], {0: (0, 1, 2, 3), 1: (0, 1, 2, 3)}), kept=kept)
    is_left = kept[before.ids]
    ids = np.cumsum(kept) - kept[0]  # of those that are left, in the same order
    counts = np.concatenate([[0], before.counts[1:][kept[1:]]])
    user = Vocabulary(before.keys[is_left], ids[before.ids[is_left]].astype(np.int32), counts)
    state = replace(prepared.state, vocabularies={**prepared.state.vocabularies, "user": user})
    model = model_of({"user": shape}, replace(prepared, state=state))
    materialize(supernet, {"user": shape}, model)
    file = prepared.folder.parents[1] / "data" / "valid.parquet"
    valid = prepare_split(prepared.resolved, state, [file], prepared.resolved.config.data, tmp_path / "rows")
    expected = score_shapes(supernet, prepared.splits["valid"], {"user": shape})
    assert_allclose(score_alone(model, valid).probabilities, expected.probabilities, atol=1e-6, rtol=0)
    assert model.layout.schemes["user/user"].serving_bytes() == 2 * shape.serving_bytes == 4 * 4 * (1 + 13)


def test_columns_are_those_of_the_runs_that_are_held() -> None:
    assert columns_of([0, 2, 2, 1, 3]).tolist() == [0, 1, 4]
