"""What a search found is said in the user's own file, which loads, prepares and scores as the shapes do."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose

from recsys.config import Config, ResolvedConfig, load_config
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.embeddings.costs import table_costs
from recsys.embeddings.vocabularies import feature_vocabularies
from recsys.search.best_yaml import shape_changes, write_yaml
from recsys.search.shape import TableShape
from recsys.search.supernet import TableBytes, score_shapes, supernet_config, table_bytes
from recsys.training.build import build, score_alone
from recsys.training.strategy import table_weights
from tests.search.materialize import materialize
from tests.search.nets import build_model
from tests.training.logs import write_log

WRITTEN = """\
# clicks
label: click

features:
  user: {type: id}        # who
  item: {type: id}
  "pr*": {type: bucket, quantiles: 4}
  seen: {type: sequence, of: item, max_len: 4}   # what they saw
  both: {type: cross, of: [user, item]}
  kind: {type: id, column: item, vocabulary: [i3, i1, i2, i0]}
tables:
  shared: {features: [user, item], dim: 16, precision: fp16}  # two
  rest:
    features: ["*"]
model: {tower: TOWER, dim: 16}
train: {precision: 32, batch_size: 128}
data: {train: train.parquet, valid: valid.parquet, test: test.parquet}
"""
OWNERS = ("user", "item", "price", "both", "kind")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("log"))


class User:
    """Somebody with a configuration, of which shapes are searched."""

    def __init__(self, place: Path, folder: Path, text: str = WRITTEN, tower: str = "mlp") -> None:
        self.place = place
        self.file = folder / "mine" / "shop.yaml"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(text.replace("TOWER", tower))
        self.target = folder / "found" / "front" / "best.yaml"
        self.config = load_config(self.file)
        self.prepared = self.prepare(self.config)

    def prepare(self, config: Config) -> Prepared:
        return prepare(config, self.place, self.place / "cache")

    def shape(self, name: str, *columns: tuple[int, ...], sizes: tuple[int, ...] = (), kept: Any = None) -> TableShape:
        known = feature_vocabularies(self.prepared.resolved, self.prepared.state)[name]
        assert known.num_ids is not None
        table = next(one for one in self.prepared.resolved.tables if name in one.fields)
        return TableShape(
            vocabulary=name,
            dim=table.dim,
            block_sizes=(*sizes, known.num_ids - sum(sizes)),
            columns=columns,
            kept=None if kept is None else np.isin(np.arange(known.num_ids), kept),
            ranks=None if known.ranks is None else known.ranks.numpy(),
            precision=table.spec.served_precision,
        )

    def write(self, *shapes: TableShape) -> Config:
        by_name = {shape.vocabulary: shape for shape in shapes}
        found = shape_changes(self.config, self.prepared, by_name, kept=self.target.parents[1] / "kept" / "best")
        columns = ["click", *pl.read_parquet_schema(self.place / "train.parquet")]
        write_yaml(self.file, found.keys, self.target, files=found.files, columns=columns)
        return load_config(self.target)

    def lines(self) -> list[str]:
        """Return the lines that the user's file does not have, without the note."""
        own = self.file.read_text().splitlines()
        return [line.partition("  # found by")[0] for line in self.target.read_text().splitlines() if line not in own]


@pytest.fixture
def user(place: Path, tmp_path: Path) -> Callable[..., User]:
    return lambda *options, **more: User(place, tmp_path, *options, **more)


ALL, HALF, QUARTER = tuple(range(16)), tuple(range(8)), tuple(range(4))


@pytest.mark.parametrize(
    ("tower", "name", "columns", "lines"),
    [
        (
            "mlp",
            "user",
            [HALF],
            [
                "  shared: {features: [item], dim: 16, precision: fp16}  # two",
                "  user: {features: [user], dim: 8, precision: fp16}",
            ],
        ),
        (
            "mlp",
            "item",
            [(0, 1, 2, 3, 8, 9, 10, 11)],
            [
                "  shared: {features: [user], dim: 16, precision: fp16}  # two",
                "  item: {features: [item], dim: 8, precision: fp16}",
            ],
        ),
        (
            "autoint",
            "item",
            [(0, 1, 2, 3, 8, 9, 10, 12)],
            [
                "  shared: {features: [user], dim: 16, precision: fp16}  # two",
                "  item: {features: [item], scheme: blocks, dim: 16, blocks: [{columns: [0-3, 8-10, 12]}], "
                "precision: fp16}",
            ],
        ),
        (
            "mlp",
            "both",
            [ALL, HALF, ()],
            [
                "  both: {features: [both], scheme: blocks, dim: 16, "
                "blocks: [{ids: 9, dim: 16}, {ids: 20, dim: 8}, {dim: 0}]}"
            ],
        ),
        ("mlp", "price", [QUARTER], ["  price: {features: [price], dim: 4}"]),
        ("mlp", "user", [(0, 1)], None),
        ("mlp", "price", [()], ['  "pr*": {type: bucket, quantiles: 4, use: false}']),
        ("mlp", "kind", [()], ["  kind: {type: id, column: item, vocabulary: [i3, i1, i2, i0], use: false}"]),
    ],
)
def test_a_shape_becomes_the_lines_that_say_it(
    user: Callable[..., User], tower: str, name: str, columns: list[tuple[int, ...]], lines: list[str] | None
) -> None:
    shop = user(tower=tower)
    shape = shop.shape(name, *columns, sizes=(9, 20)[: len(columns) - 1])
    resolved = shop.prepare(shop.write(shape)).resolved
    if lines is not None:
        assert shop.lines() == lines
    if not shape.is_dropped:
        assert bytes_of(name, resolved, shop.prepare(load_config(shop.target))) == shape.serving_bytes


def bytes_of(name: str, resolved: ResolvedConfig, prepared: Prepared) -> int:
    table = next(one for one in resolved.tables if name in one.fields)
    costs, _ = table_costs(resolved, prepared.state)
    return sum(cost.bytes["serving"] for cost in costs if cost.table == table.name)


@pytest.mark.parametrize("tower", ["mlp", "din"])
def test_a_history_with_a_vocabulary_of_its_own_is_pruned_or_left_out(user: Callable[..., User], tower: str) -> None:
    marks = "  marks: {type: sequence, column: seen, behaviour: seen, max_len: 4}"
    shop = user(WRITTEN.replace("  both:", f"{marks}\n  both:"), tower=tower)
    resolved = shop.prepare(shop.write(shop.shape("marks", ALL, kept=[0, 1, 3]))).state
    assert resolved.vocabularies["marks"].size == 3
    assert shop.prepare(shop.write(shop.shape("marks", ()))).resolved.features.keys().isdisjoint({"marks"})
    assert shop.lines() == [f"{marks[:-1]}, use: false}}"]


def test_din_keeps_the_last_history_that_it_holds_against_the_candidate(user: Callable[..., User]) -> None:
    marks = "  marks: {type: sequence, column: seen, max_len: 4}"
    resolved = user(WRITTEN.replace("  both:", f"{marks}\n  both:"), tower="din").prepared.resolved
    assert resolved.still_needed({"marks", "seen", "both"}) == {"seen", "item"}
    assert resolved.still_needed({"marks", "both"}) == set()


@pytest.mark.parametrize("tower", ["mlp", "fm"])
@pytest.mark.parametrize("optimizer", ["rowwise_adagrad", "adagrad"])
def test_a_candidate_has_the_bytes_of_its_file(user: Callable[..., User], tower: str, optimizer: str) -> None:
    shop = user(WRITTEN.replace("batch_size", f"sparse_optimizer: {{name: {optimizer}}}, batch_size"), tower=tower)
    shapes = {
        "user": shop.shape("user", ALL, HALF, sizes=(7,), kept=[1, 2, 9, 15]),
        "item": shop.shape("item", (0, 1, 2, 3, 8, 9), ALL, sizes=(4,)),
        "price": shop.shape("price", (0, 1), (), sizes=(2,)),
        "both": shop.shape("both", QUARTER, (), HALF, sizes=(30, 20)),
        "kind": shop.shape("kind", HALF, QUARTER, sizes=(3,)),
    }
    supernet = build_model(supernet_of(shop, shapes), shop.prepared)
    prepared = shop.prepare(shop.write(*shapes.values()))
    costs, _ = table_costs(prepared.resolved, prepared.state)
    found = table_bytes(supernet, shapes)
    assert found == TableBytes(*(sum(cost.bytes[phase] for cost in costs) for phase in ("serving", "training")))


def test_what_a_search_did_not_change_stays_as_it_is_written(user: Callable[..., User]) -> None:
    shop = user()
    shop.write(*(shop.shape(name, ALL) for name in OWNERS))
    assert shop.target.read_text() == shop.file.read_text()


def test_rows_are_kept_by_key_and_a_listed_vocabulary_gets_shorter(user: Callable[..., User]) -> None:
    shop = user()
    shapes = [shop.shape("item", ALL, kept=[1, 3, 5]), shop.shape("kind", ALL, kept=[1, 4])]
    prepared = shop.prepare(shop.write(*shapes))
    assert shop.lines() == [
        "  item: {type: id, kept: ../kept/best/item.parquet}",
        "  kind: {type: id, column: item, vocabulary: [i3, i0]}",
    ]
    before, after = (one.state.vocabularies["item"] for one in (shop.prepared, prepared))
    assert set(after.keys) == {key for key, id_ in zip(before.keys, before.ids, strict=True) if id_ in (1, 3, 5)}
    assert bytes_of("kind", prepared.resolved, prepared) > 0
    assert prepared.state.vocabularies["kind"].size == 3


def test_when_all_features_of_a_table_change_the_first_keeps_it(user: Callable[..., User]) -> None:
    shop = user()
    shop.write(shop.shape("user", HALF), shop.shape("item", QUARTER))
    assert shop.lines() == [
        "  shared: {features: [user], dim: 8, precision: fp16}  # two",
        "  item: {features: [item], dim: 4, precision: fp16}",
    ]


def test_rows_of_another_precision_are_said_too(user: Callable[..., User]) -> None:
    shop = user()
    shapes = [shop.shape("both", ALL), shop.shape("kind", QUARTER)]
    prepared = shop.prepare(shop.write(*(replace(shape, precision="fp16") for shape in shapes)))
    assert shop.lines() == [
        "  both: {features: [both], serving_precision: fp16}",
        "  kind: {features: [kind], dim: 4, serving_precision: fp16}",
    ]
    for shape in shapes:
        assert bytes_of(shape.vocabulary, prepared.resolved, prepared) * 2 == shape.serving_bytes


def test_a_precision_that_is_stated_stays_so(user: Callable[..., User]) -> None:
    shop = user(WRITTEN.replace("precision: fp16", "serving_precision: fp16"))
    shop.write(shop.shape("user", HALF))
    assert "  user: {features: [user], dim: 8, serving_precision: fp16}" in shop.lines()


def test_a_table_of_several_features_changes_itself_when_all_become_alike(user: Callable[..., User]) -> None:
    shop = user()
    halves = (replace(shop.shape(name, ALL), precision="fp16") for name in ("price", "both", "kind"))
    shop.write(shop.shape("user", HALF), shop.shape("item", HALF), *halves)
    assert shop.lines() == [
        "  shared: {features: [user, item], dim: 8, precision: fp16}  # two",
        "    serving_precision: fp16",
    ]


def test_a_glob_goes_when_nothing_is_left_that_it_stands_for(user: Callable[..., User]) -> None:
    shop = user(WRITTEN.replace('features: ["*"]', 'features: ["pr*", both, kind]'))
    shop.write(shop.shape("price", HALF))
    assert shop.lines() == ["    features: [both, kind]", "  price: {features: [price], dim: 8}"]


def test_histories_go_with_what_they_are_of_and_crosses_hold_it(user: Callable[..., User]) -> None:
    shop = user()
    config = shop.write(shop.shape("item", ()), shop.shape("both", ()))
    assert [name for name, feature in config.features.items() if not feature.use] == ["item", "seen", "both"]
    config = shop.write(shop.shape("item", ()))
    assert config.features["item"].use
    assert (
        "  item: {features: [item], scheme: blocks, dim: 16, blocks: [{ids: 1, dim: 4}, {dim: 0}], precision: fp16}"
        in shop.lines()
    )


def test_a_tower_of_histories_keeps_one(user: Callable[..., User]) -> None:
    shop = user(WRITTEN.replace("  both: {type: cross, of: [user, item]}\n", ""), tower="din")
    assert shop.write(shop.shape("item", ())).features["seen"].use


def test_when_nothing_is_left_at_all_something_stays(user: Callable[..., User]) -> None:
    shop = user()
    config = shop.write(*(shop.shape(name, ()) for name in OWNERS))
    assert any(feature.use for feature in config.features.values())


def test_parts_of_times_go_one_by_one(place: Path, tmp_path: Path) -> None:
    text = "label: click\nfeatures: {ts: {type: datetime, column: user, parts: [hour, day]}, item: {type: id}}\n"
    data = "data: {train: train.parquet, valid: valid.parquet}\n"
    shop = User(place, tmp_path, text + data)
    assert shop.write(shop.shape("ts.day", ())).features["ts"].parts == ("hour",)  # type: ignore[attr-defined]
    shop = User(place, tmp_path, f"{text}tables: {{t: {{features: [ts.day]}}}}\n{data}")
    assert shop.write(shop.shape("ts.day", ())).features["ts"].parts == ("hour", "day")  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_included", [False, True])
def test_what_was_to_be_searched_is_left_out_with_the_tables_it_speaks_of(tmp_path: Path, is_included: bool) -> None:
    search = "search:  # of optuna\n  dims: {user: [4, 8]}\n"
    (tmp_path / "shared.yaml").write_text(search if is_included else "{}")
    text = "# mine\ninclude: shared.yaml\nlabel: click\nfeatures: {user: {type: id}}\nmodel: {dim: 8}\n"
    (tmp_path / "mine.yaml").write_text(text if is_included else text + search)
    blocks = {"features": ("user",), "scheme": "blocks", "dim": 8, "blocks": [{"dim": 4}]}
    target = tmp_path / "found" / "best.yaml"
    write_yaml(tmp_path / "mine.yaml", {("tables", "user"): blocks}, target)
    found = load_config(target)
    assert found.search is None
    assert found.tables["user"].scheme == "blocks"
    assert target.read_text().startswith("# mine\ninclude: ../shared.yaml\n")
    write_yaml(tmp_path / "mine.yaml", {}, target)
    assert load_config(target).search is not None


def test_relative_paths_are_those_of_the_new_place(place: Path, tmp_path: Path) -> None:
    base = User(place, tmp_path, WRITTEN)
    base.file.rename(base.file.with_name("base.yaml"))
    shop = User(place, tmp_path, "include: base.yaml\ntables: {rest: {dim: 8}}\n")
    config = shop.write(shop.shape("user", HALF, kept=[1, 2]), shop.shape("item", ALL[:8], ALL[:4], sizes=(5,)))
    assert shop.target.read_text().startswith("include: ../../mine/base.yaml\n")
    assert {name: table.features for name, table in config.tables.items()} == {
        "shared": ("user",),
        "rest": ("*",),
        "item": ("item",),
    }
    assert shop.prepare(config).state.vocabularies["user"].size == 3
    nested = (
        shop.target.parent / "deeper" / "again.yaml"
    )  # what was found names a file that is found from elsewhere too
    write_yaml(shop.target, {("tables", "rest", "dim"): 4}, nested)
    assert load_config(nested).features == config.features


def test_the_file_scores_as_the_masked_supernet_before_it_is_trained(place: Path, tmp_path: Path) -> None:
    shop = User(place, tmp_path, WRITTEN.replace(", precision: fp16", ""), tower="fm")
    shapes = {
        "user": shop.shape("user", ALL[:12], HALF, sizes=(7,), kept=[1, 2, 9, 15]),
        "item": shop.shape("item", (0, 1, 2, 3, 8, 9, 10, 11), kept=[2, 3, 4]),
        "both": shop.shape("both", ALL, (), sizes=(30,)),
        "kind": shop.shape("kind", QUARTER, kept=[2, 3]),
    }
    supernet = build_model(supernet_of(shop, shapes), shop.prepared)
    for weight in table_weights(supernet.model).values():
        weight.mul_(100)
    prepared = shop.prepare(shop.write(*shapes.values()))
    model = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    materialize(supernet, shapes, model)
    expected = score_shapes(supernet, shop.prepared.splits["valid"], shapes)
    found = score_alone(model, prepared.splits["valid"])
    assert_allclose(found.probabilities, expected.probabilities, rtol=1e-5, atol=1e-6)


def supernet_of(shop: User, shapes: Mapping[str, TableShape]) -> Config:
    """Return a supernet whose blocks are those of the shapes."""
    config = supernet_config(shop.prepared, {"kind": "nested"}, num_blocks=1)
    tables = {}
    for name, table in config.tables.items():
        shape = shapes.get(table.features[0])
        ends = () if shape is None else tuple(np.cumsum(shape.block_sizes)[:-1].tolist())
        tables[name] = table.model_copy(update={"blocks": ends})
    return config.replaced(tables=tables)
