from itertools import product
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from recsys.config.changes import with_changes
from recsys.data.prepare import prepare
from recsys.embeddings.costs import total_bytes
from recsys.errors import ConfigError
from recsys.search.best_yaml import shape_changes
from recsys.search.optuna.space import SearchSpace
from tests.search.optuna.small_search import small_search

SPACE = {
    "train.dense_optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True},
    "train.epochs": {"low": 2, "high": 9, "step": 3},
    "model.mlp": [[16], [32, 16]],
}


def space_of(root: Path, **changes: Any) -> SearchSpace:
    return small_search(root, **changes).space


def test_without_a_section_the_width_of_each_vocabulary_is_searched(tmp_path: Path) -> None:
    space = space_of(tmp_path)
    assert space.distributions == {
        "dim user": CategoricalDistribution((4, 8)),
        "dim item": CategoricalDistribution((4, 8)),
        "precision": CategoricalDistribution(("fp16", "fp32")),
    }
    assert (space.size, space.changes_bytes) == (8, True)
    assert space.own_params() == {"dim user": 8, "dim item": 8, "precision": "fp32"}


def test_rows_in_a_cache_keep_their_precision_since_they_cannot_be_rounded(tmp_path: Path) -> None:
    space = space_of(tmp_path, tables={"all": {"features": ["*"], "placement": "uvm_caching"}})
    assert space.distributions.keys() == {"dim user", "dim item"}


def test_keys_of_the_space_are_ranges_and_lists(tmp_path: Path) -> None:
    space = space_of(tmp_path, search={"dims": {}, "space": SPACE})
    assert space.distributions == {
        "train.dense_optimizer.lr": FloatDistribution(1e-3, 1e-1, log=True),
        "train.epochs": IntDistribution(2, 8, step=3),
        "model.mlp": CategoricalDistribution(("[16]", "[32, 16]")),
    }
    assert (space.size, space.changes_bytes) == (None, False)


def test_a_choice_is_keys_and_shapes(tmp_path: Path) -> None:
    space = space_of(tmp_path, search={"space": {"model.mlp": SPACE["model.mlp"]}})
    params = {"dim user": 4, "dim item": 8, "model.mlp": "[16]"}
    assert space.changes(params) == {("model", "mlp"): (16,)}
    shapes = space.shapes(params, space.prepared)
    assert {name: (shape.widths, shape.num_ids) for name, shape in shapes.items()} == {"user": ((4,), 21)}


def test_a_table_of_another_scheme_changes_as_a_whole(tmp_path: Path) -> None:
    tables = {"all": {"features": ["*"], "scheme": "hash", "rows": 20}}
    space = space_of(tmp_path, tables=tables, search={"dims": {"all": [4, 8, 12]}})
    assert space.changes({"dim all": 12}) == {("tables", "all", "dim"): 12}
    assert space.shapes({"dim all": 12}, space.prepared) == {}


@pytest.mark.parametrize("values", [{"low": 0.1, "high": 0.2}, [0.5, 0.25]])
def test_a_configuration_outside_of_the_space_is_no_choice(values: Any, tmp_path: Path) -> None:
    space = space_of(tmp_path, search={"space": {"train.dense_optimizer.lr": values}})
    assert space.own_params() is None


def test_a_space_without_a_choice_is_refused(tmp_path: Path) -> None:
    tables = {"all": {"features": ["*"], "scheme": "hash", "rows": 20}}
    with pytest.raises(ConfigError, match="there is nothing to search: no table has the scheme full"):
        space_of(tmp_path, tables=tables)


def test_schemes_are_choices_of_vocabularies_with_tables_of_their_own(tmp_path: Path) -> None:
    search = {"dims": {"user": [4, 8]}, "schemes": ["full", "hash", "int8"], "shares": [0.5, 1e-9]}
    space = space_of(tmp_path, search=search)
    assert space.distributions["scheme user"] == CategoricalDistribution(("full", "hash 0.5", "int8 0.5"))
    params = {"dim user": 4, "scheme user": "hash 0.5", "scheme item": "full"}
    assert space.changes(params) == {
        ("tables", "user", "features"): ("user",),
        ("tables", "user", "scheme"): "hash",
        ("tables", "user", "budget"): 0.5,
        ("tables", "user", "dim"): 4,
    }
    assert space.shapes(params, space.prepared) == {}
    assert with_changes(space.config, space.changes(params)).tables["user"].scheme == "hash"
    own = {"dim user": 8, "scheme user": "full", "scheme item": "full", "precision": "fp32"}
    assert space.own_params() == own


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"search": {"dims": {"user": [12, 16]}, "space": SPACE}},
        {"search": {"dims": [4, 8], "schemes": ["full", "hash", "int8"], "shares": [0.7]}},
        {"search": {"dims": [4, 8], "schemes": ["hash"]}, "model": {"tower": "fm", "dim": 8}},
        {
            "tables": {"user": {"features": ["user"], "scheme": "hash", "rows": 20}},
            "search": {"dims": {"user": [4, 8]}},
        },
        {"tables": {"both": {"features": ["*"]}}},
    ],
)
def test_the_least_bytes_are_those_of_the_smallest_choice(changes: dict[str, Any], tmp_path: Path) -> None:
    search = small_search(tmp_path, **changes)
    space, found = search.space, []
    listed = [
        [(name, value) for value in one.choices]
        for name, one in space.distributions.items()
        if isinstance(one, CategoricalDistribution)
    ]
    rest = {key: space.own_value(key) for key in SPACE if key in space.distributions} | {"model.mlp": "[16]"}
    for choice in product(*listed):
        params = rest | dict(choice)
        shapes = shape_changes(space.config, search.prepared, space.shapes(params, search.prepared), kept=tmp_path)
        config = with_changes(space.config, {**shapes.keys, **space.changes(params)})
        after = prepare(config, tmp_path, tmp_path / "cache")
        found.append(sum(one["serving"] for one in total_bytes(after.resolved, after.state).values()))
    assert space.least_bytes() == min(found)


@pytest.mark.parametrize("key", ["features.user.min_count", "model.dim"])
def test_the_least_bytes_are_not_known_where_other_keys_change_the_tables(key: str, tmp_path: Path) -> None:
    assert space_of(tmp_path, search={"dims": {}, "space": {key: [4, 8]}}).least_bytes() == 0
