from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config.schemes.blocks import Block, BlocksTable, blocks_bytes
from recsys.embeddings import FeatureVocabulary
from recsys.embeddings.collisions import collisions_of
from recsys.embeddings.scheme import tensor_bytes
from recsys.embeddings.schemes.blocks import Blocks
from recsys.errors import ConfigError
from recsys.export import script
from recsys.testing.schemes import looked_up
from recsys.testing.tiny_tables import make_layout, rows, sharded
from recsys.training.strategy import table_weights
from tests.config.loading import Problems, folder, load, problems  # noqa: F401 - fixtures

FREQUENCY_LAST = torch.tensor([0, 5, 4, 3, 2, 1])
"""Ranks of 6 ids, of which the last is the most frequent."""


def section(blocks: Sequence[dict[str, Any]], **keys: Any) -> BlocksTable:
    return BlocksTable(features=("item",), scheme="blocks", blocks=tuple(Block(**block) for block in blocks), **keys)


def make(
    blocks: Sequence[dict[str, Any]], *, num_ids: int = 6, dim: int = 8, ranks: Tensor | None = None, **keys: Any
) -> Blocks:
    torch.manual_seed(0)
    (found,) = Blocks.build("t", [FeatureVocabulary("item", num_ids, ranks)], dim, section(blocks, **keys))
    assert isinstance(found, Blocks)
    return found


def drawn(scheme: Blocks) -> dict[str, Tensor]:
    dtype = torch.float16 if scheme.weight_bytes == 2 else torch.float32
    return {table.name: torch.randn(table.rows, table.dim).to(dtype) for table in scheme.physical_tables()}


def vectors(scheme: Blocks, weights: dict[str, Tensor] | None = None) -> Tensor:
    found: Tensor = scheme.serving(weights or drawn(scheme))(torch.arange(scheme.num_ids), 0)
    return found.detach()


def held(scheme: Blocks, ranks: Tensor | None = None) -> list[list[int]]:
    """Return the columns of each rank's embedding that are not 0."""
    found = vectors(scheme) != 0
    order = torch.arange(len(found)) if ranks is None else torch.argsort(ranks)
    return [row.nonzero().flatten().tolist() for row in found[order]]


CUTS: dict[str, tuple[list[dict[str, Any]], list[list[int]]]] = {
    "one": ([{"dim": 4}], [[0, 1, 2, 3]] * 6),
    "two widths": ([{"ids": 2, "dim": 8}, {"dim": 3}], [list(range(8))] * 2 + [[0, 1, 2]] * 4),
    "no rows last": ([{"ids": 2, "dim": 4}, {"dim": 0}], [[0, 1, 2, 3]] * 2 + [[]] * 4),
    "no rows between": ([{"ids": 1, "dim": 1}, {"ids": 2, "dim": 0}, {"dim": 1}], [[0]] + [[]] * 2 + [[0]] * 3),
    "a width twice": (
        [{"ids": 1, "dim": 4}, {"ids": 2, "dim": 2}, {"dim": 4}],
        [[0, 1, 2, 3], *[[0, 1]] * 2, *[[0, 1, 2, 3]] * 3],
    ),
    "holes": ([{"ids": 3, "columns": (7, "0-1")}, {"columns": ("4-6",)}], [[0, 1, 7]] * 3 + [[4, 5, 6]] * 3),
    "more ids than there are": ([{"ids": 4, "dim": 2}, {"ids": 99, "dim": 1}, {"dim": 8}], [[0, 1]] * 4 + [[0]] * 2),
}


@pytest.mark.parametrize("ranks", [None, FREQUENCY_LAST], ids=["by frequency", "by ranks"])
@pytest.mark.parametrize("name", CUTS)
def test_ids_of_a_block_have_its_columns_and_zeros_in_the_others(name: str, ranks: Tensor | None) -> None:
    blocks, expected = CUTS[name]
    assert held(make(blocks, ranks=ranks), ranks) == expected


@pytest.mark.parametrize("name", CUTS)
def test_every_id_that_has_a_row_has_one_of_its_own(name: str) -> None:
    blocks, expected = CUTS[name]
    found = [tuple(row) for row, columns in zip(vectors(make(blocks)).tolist(), expected, strict=True) if columns]
    assert len(set(found)) == len(found)


def test_blocks_of_one_width_share_a_physical_table_and_a_lookup() -> None:
    scheme = make([{"ids": 1, "columns": ("0-3",)}, {"ids": 2, "dim": 8}, {"columns": ("4-7",)}])
    assert [(table.name, table.rows, table.dim) for table in scheme.tables(0)] == [
        ("t/item_table_8", 2 + 1, 8),
        ("t/item_table_4", 4 + 1, 4),
    ]


def test_the_spare_row_costs_bytes_in_training_and_none_when_served() -> None:
    scheme = make([{"ids": 2, "dim": 8}, {"ids": 2, "dim": 2}, {"dim": 0}])
    assert scheme.bytes("training", sparse="rowwise_adagrad", dense="adam") == 4 * (3 * (8 + 1) + 2 * (4 + 1))
    assert scheme.serving_bytes() == 4 * (2 * 8 + 2 * 2)


def test_neighbours_of_the_same_columns_are_one_block_without_a_spare_row_or_ranks() -> None:
    split, whole = make([{"ids": 2, "dim": 4}, {"dim": 4}], ranks=FREQUENCY_LAST), make([{"dim": 4}])
    assert split.tables(0) == whole.tables(0) == [whole.table("_4", 6, 4)]
    assert split.ranks is None
    assert split.sums_bags


@pytest.mark.parametrize(
    ("blocks", "join", "sums"),
    [
        ([{"dim": 4}], "pad", True),
        ([{"dim": 4}], "project", True),
        ([{"columns": ("0-1", "6-7")}], "pad", True),
        ([{"dim": 2}], "pad", False),
        ([{"ids": 9, "dim": 4}, {"dim": 0}], "pad", True),
        ([{"ids": 5, "dim": 4}, {"dim": 0}], "pad", False),
    ],
)
def test_the_kernel_may_sum_bags_where_one_block_of_whole_physical_rows_has_all_ids(
    blocks: list[dict[str, Any]], join: str, sums: bool
) -> None:
    assert make(blocks, join=join).sums_bags == sums


def test_a_projected_block_is_its_rows_times_its_own_matrix_and_a_wide_one_is_its_rows() -> None:
    scheme = make([{"ids": 1, "dim": 8}, {"ids": 2, "dim": 4}, {"ids": 1, "dim": 4}, {"dim": 2}], join="project")
    weights = drawn(scheme)
    wide, four, two = weights.values()
    assert scheme.projection is not None
    first, second, third = scheme.projection.detach().split([4, 4, 2])
    expected = torch.cat([wide[:1], four[:2] @ first, four[2:3] @ second, two.view(-1, 2)[:2] @ third])
    torch.testing.assert_close(vectors(scheme, weights), expected)


def test_fresh_projected_vectors_have_the_usual_standard_deviation() -> None:
    scheme = make([{"ids": 2000, "dim": 4}, {"dim": 1}], num_ids=4000, dim=32, join="project")
    weights = {table.name: torch.empty(table.rows, table.dim) for table in scheme.tables(0)}
    for table in scheme.tables(0):
        table.init(weights[table.name])
    found = vectors(scheme, weights)
    assert float(found[:2000].std()) == pytest.approx(0.01, rel=0.3)
    assert float(found[2000:].std()) == pytest.approx(0.01, rel=0.4)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "rowwise_adagrad"])
def test_what_has_no_row_moves_no_row(optimizer: str) -> None:
    """The row that ids without a row read has a gradient of 0, in physical rows of its own."""
    blocks = [{"ids": 2, "dim": 4}, {"ids": 3, "dim": 2}, {"dim": 0}]
    layout = make_layout({"t": {"features": ["user"], "scheme": "blocks", "blocks": blocks}}, jagged=True)
    model = sharded(layout, optimizer=optimizer)
    before = {name: weight.clone() for name, weight in table_weights(model).items()}
    scheme = layout.schemes["t/user"]
    ids = torch.arange(10)
    rows_KV = scheme.remap(ids, 0)
    assert rows_KV[0].tolist() == [0, 1] + [2] * 8
    assert rows_KV[1].tolist() == [2, 2, 0, 0, 1] + [2] * 5
    batch = layout.collate(rows(user=ids.tolist(), item=[0] * 10, tags=[[]] * 10, clicks=[[]] * 10))
    (looked_up(model, layout, batch)["user"] - 1).square().sum().backward()
    after = table_weights(model)
    for table in scheme.tables(0):
        moved = (after[table.name] != before[table.name]).any(dim=1)
        assert moved.tolist() == [True] * (table.rows - 1) + [False]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("ranks", [None, FREQUENCY_LAST], ids=["by frequency", "by ranks"])
@pytest.mark.parametrize("join", ["pad", "project"])
@pytest.mark.parametrize("dims", [(4,), (2,), (8, 0), (8, 3), (4, 1, 4), (1, 0, 6), (8, 8)])
def test_bytes_by_arithmetic_are_those_of_the_scheme(
    dims: tuple[int, ...], join: Any, ranks: Tensor | None, precision: Any
) -> None:
    blocks = [*({"ids": 2, "dim": dim} for dim in dims[:-1]), {"dim": dims[-1]}]
    spec = section(blocks, join=join, precision=precision)
    scheme = make(blocks, join=join, ranks=ranks, precision=precision)
    shapes = spec.shapes(6)
    has_ranks = scheme.ranks is not None
    found = blocks_bytes(shapes, 8, join=join, weight_bytes=spec.weight_bytes, ranks=has_ranks)
    assert found == scheme.serving_bytes() == tensor_bytes(scheme.serving(drawn(scheme)))
    assert spec.known_bytes([6], 8) in ([found] if len(dims) == 1 else [None])


def test_ids_without_rows_collide_and_no_others_do() -> None:
    blocks = [{"ids": 2, "dim": 4}, {"ids": 3, "dim": 1}, {"dim": 0}]
    assert collisions_of(make(blocks, num_ids=20), 0)[:2] == (15.0, 15)
    assert collisions_of(make(blocks, num_ids=6), 0)[:2] == (0.0, 0)
    assert collisions_of(make(CUTS["holes"][0]), 0)[:2] == (0.0, 0)


def test_ranks_are_exported_once_as_int32() -> None:
    scheme = make([{"ids": 2, "dim": 4}, {"dim": 2}], ranks=FREQUENCY_LAST)
    served = scheme.serving(drawn(scheme))
    assert [tensor.dtype for tensor in served.buffers()] == [torch.int32]
    ids = torch.arange(6)
    assert torch.equal(script(served)(ids, 0), served(ids, 0))


def test_a_vocabulary_that_would_have_no_rows_is_refused() -> None:
    message = r"tables\.t\.blocks: all 6 ids of 'item' are in blocks of dim 0; .*`use: false` at the feature"
    with pytest.raises(ConfigError, match=message):
        make([{"ids": 7, "dim": 0}, {"dim": 4}])


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("blocks: [{ids: 0, dim: 4}, {dim: 2}]", ".blocks[0].ids: must be at least 1, got 0"),
        ("blocks: []", ".blocks: must not be empty"),
        ("blocks: [{ids: 3}, {dim: 2}]", ".blocks[0]: needs either dim or columns, got neither"),
        ("blocks: [{dim: 3, columns: [1]}]", ".blocks[0]: needs either dim or columns, got both"),
        ("blocks: [{dim: 3}, {dim: 2}]", ".blocks[0]: needs ids: only the last block has all other ids"),
        ("blocks: [{ids: 3, dim: 3}]", ".blocks[0].ids: must be left out: the last block has all other ids"),
        ("blocks: [{ids: 3, dim: 0}, {dim: 0}]", ".blocks: leave no rows: every block has dim 0; `use: false` at the"),
        ("blocks: [{dim: 9}]", ".blocks[0].dim: must be at most the dim of the table (8), got 9"),
        ("blocks: [{columns: [0-8]}]", ".blocks[0].columns[0]: must be below the dim of the table (8), got 0-8"),
        ("blocks: [{columns: [1, 8]}]", ".blocks[0].columns[1]: must be below the dim of the table (8), got 8"),
        ("blocks: [{columns: [0-3, 2]}]", ".blocks[0].columns[1]: names column 2, which is named before"),
        ("blocks: [{columns: [3-1]}]", ".blocks[0].columns[0]: must be a number or a range with both ends"),
        ("blocks: [{columns: [1.5]}]", ".blocks[0].columns[0]: expected an integer or text, got 1.5"),
        ("blocks: [{columns: [-1]}]", ".blocks[0].columns[0]: must be at least 0, got -1"),
        ("blocks: [{columns: []}]", ".blocks[0].columns: must not be empty"),
        ("blocks: [{columns: [0-3]}], join: project", ".blocks[0].columns: has no effect with join: project"),
        ("blocks: [{dim: 4}], join: add", ".join: must be one of pad, project, got 'add'"),
        ("blocks: [{ids: 1, dmi: 4}]", ".blocks[0].dmi: unknown key for scheme blocks; did you mean 'dim'?"),
        ("budget: 1MB, blocks: [{dim: 4}]", ".budget: unknown key for scheme blocks"),
    ],
)
def test_a_mistake_is_located(keys: str, problem: str, problems: Problems) -> None:  # noqa: F811 - a fixture
    table = f"{{features: [user], scheme: blocks, dim: 8, {keys}}}"
    (_, line) = problems(f"label: y\nfeatures: {{user: {{type: id}}}}\ntables: {{all: {table}}}\n")
    assert f"tables.all{problem}" in line
