"""The supernet: which tables are gated, in which blocks, and what masks leave of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from recsys.config.schemes.base import RowPlace
from recsys.data.prepared import Prepared
from recsys.embeddings.costs import table_costs
from recsys.embeddings.gates.gated import GATED
from recsys.errors import ConfigError
from recsys.search.best_yaml import shape_changes
from recsys.search.shape import TableShape
from recsys.search.supernet import (
    apply_shapes,
    block_ends,
    fixed_bytes,
    gated_tables,
    prefix_shape,
    score_shapes,
    shapes_applied,
    supernet_config,
    table_bytes,
)
from recsys.search.yardstick import whole
from recsys.training.build import LoadedModel, score_alone
from tests.search.nets import build_model, build_supernet, make_prepared


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def supernet(prepared: Prepared) -> LoadedModel:
    return build_supernet(prepared, num_blocks=2)


@pytest.mark.parametrize("num_ids", [1, 2, 16, 17, 1000])
@pytest.mark.parametrize("num_blocks", [1, 2, 6])
@pytest.mark.parametrize("skew", [0.0, 1.0, 2.0])
def test_blocks_have_enough_ids_and_equal_shares_of_uses_and_ids(num_ids: int, num_blocks: int, skew: float) -> None:
    counts = (1e6 / np.arange(1, num_ids + 1) ** skew).astype(np.int64)
    ends = [0, *block_ends(counts, num_blocks), num_ids]
    sizes = np.diff(ends)
    assert len(sizes) <= num_blocks
    assert len(sizes) == 1 or sizes.min() >= 8
    shares = np.add.reduceat(counts / counts.sum() + 1 / num_ids, ends[:-1]) / 2
    if len(sizes) == num_blocks and num_ids == 1000:
        assert shares == pytest.approx(1 / num_blocks, abs=0.1 + counts[0] / counts.sum())


def test_unused_ids_are_cut_into_blocks_of_equal_size() -> None:
    assert block_ends(np.zeros(100, np.int64), 4) == [25, 50, 75]


def test_each_vocabulary_of_a_full_table_has_a_gated_table(tmp_path: Path) -> None:
    features = {name: {"type": "id"} for name in ("user", "item", "buy")}
    features["again"] = {"type": "id", "column": "user"}
    tables = {
        "both": {"features": ["user", "item"], "dim": 16},
        "hashed": {"features": ["buy"], "scheme": "hash", "rows": 7},
    }
    prepared = make_prepared(tmp_path, features=features, tables=tables)
    found = supernet_config(prepared, {"kind": "dnis", "lr": 0.5}, num_blocks=2).tables
    assert {name: (one.scheme, one.features, one.dim) for name, one in found.items()} == {
        "both/user": (GATED, ("user",), 16),
        "both/item": (GATED, ("item",), 16),
        "hashed": ("hash", ("buy",), 8),
        "again": (GATED, ("again",), 8),
    }
    loaded = build_supernet(prepared)
    assert list(gated_tables(loaded)) == ["user", "item", "again"]
    assert fixed_bytes(loaded) == 4 * 7 * 8


@pytest.mark.parametrize("placement", get_args(RowPlace))
def test_a_table_of_any_placement_is_searched_and_its_rows_lie_where_a_gate_can_change_them(
    placement: RowPlace, tmp_path: Path
) -> None:
    prepared = make_prepared(tmp_path, tables={"all": {"features": ["*"], "placement": placement}})
    placed = {one.placement for one in supernet_config(prepared, {"kind": "nested"}).tables.values()}
    assert placed == {"uvm" if placement == "uvm_caching" else placement}
    shape = prefix_shape(gated_tables(build_supernet(prepared))["user"], 4)
    found = shape_changes(prepared.resolved.config, prepared, {"user": shape}, kept=tmp_path)
    assert [value for key, value in found.keys.items() if key[-1] == "placement"] == [placement]


def test_a_configuration_without_full_tables_has_nothing_to_search(tmp_path: Path) -> None:
    prepared = make_prepared(tmp_path, tables={"all": {"features": ["*"], "scheme": "hash", "rows": 9}})
    with pytest.raises(ConfigError, match=r"config.yaml.*tables: no table has the scheme full"):
        supernet_config(prepared, {"kind": "nested"})


def test_the_supernet_starts_as_the_plain_model_bit_for_bit(prepared: Prepared, supernet: LoadedModel) -> None:
    plain = build_model(prepared.resolved.config, prepared)
    valid = prepared.splits["valid"]
    assert_array_equal(score_alone(plain, valid).probabilities, score_shapes(supernet, valid, {}).probabilities)
    costs, _ = table_costs(prepared.resolved, prepared.state)
    own = {name: replace(shape, precision="fp32") for name, shape in whole(supernet).shapes.items()}
    found = table_bytes(supernet, own)
    assert found.serving == sum(cost.bytes["serving"] for cost in costs)
    assert found.training == sum(cost.bytes["training"] for cost in costs)


def test_shapes_become_masks_and_leave_no_trace(supernet: LoadedModel) -> None:
    kept = np.arange(21) % 2 == 0
    shape = TableShape(
        vocabulary="user", dim=8, block_sizes=block_sizes(supernet, "user"), columns=((0, 1, 2, 3), ()), kept=kept
    )
    scheme = gated_tables(supernet)["user"]
    with shapes_applied(supernet, {"user": shape}):
        assert scheme.column_mask.tolist() == [[1.0] * 4 + [0.0] * 4, [0.0] * 8]
        assert scheme.row_mask.tolist() == [0.0, *kept[1:]]
        assert gated_tables(supernet)["item"].column_mask.all()
    assert scheme.column_mask.all()
    assert scheme.row_mask.all()


def block_sizes(loaded: LoadedModel, name: str) -> tuple[int, ...]:
    return tuple(torch.bincount(gated_tables(loaded)[name].gate.block).tolist())


def test_a_shape_of_one_block_holds_for_all_blocks_of_the_supernet(supernet: LoadedModel) -> None:
    with shapes_applied(supernet, {"user": TableShape.prefix("user", num_ids=21, dim=8, width=4)}):
        assert gated_tables(supernet)["user"].column_mask.tolist() == [[1.0] * 4 + [0.0] * 4] * 2


def test_a_shape_that_cuts_through_a_block_of_the_supernet_is_refused(supernet: LoadedModel) -> None:
    first, second = block_sizes(supernet, "user")
    shape = TableShape(
        vocabulary="user", dim=8, block_sizes=(first - 1, second + 1), columns=((0, 1, 2, 3), (0, 1, 2, 3))
    )
    with pytest.raises(AssertionError, match="user: the blocks of the supernet"):
        apply_shapes(supernet, {"user": shape})


def test_bytes_are_those_of_what_is_left(supernet: LoadedModel) -> None:
    shapes = {
        "user": TableShape.prefix("user", num_ids=21, dim=8, width=4),
        "item": TableShape.prefix("item", num_ids=13, dim=8, width=0),
    }
    assert table_bytes(supernet, shapes) == (4 * 21 * 4, 4 * 21 * (4 + 1))


@pytest.mark.parametrize(
    ("table", "training", "found"),
    [({}, "fp32", "fp16"), ({"serving_precision": "fp32"}, "fp32", "fp32"), ({"precision": "fp16"}, "fp16", "fp16")],
)
def test_found_rows_are_served_in_16_bits_unless_the_table_states_a_precision(
    table: dict[str, Any], training: str, found: str, tmp_path: Path
) -> None:
    prepared = make_prepared(tmp_path, tables={"all": {"features": ["*"], **table}})
    for scheme in gated_tables(build_supernet(prepared)).values():
        assert scheme.spec.precision == training
        assert prefix_shape(scheme, 4).precision == found
