import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from recsys.config import Field, FullTable, ResolvedConfig, dump, missing_columns, resolve
from recsys.config.load import parse_config
from recsys.errors import ConfigError
from tests.config.loading import Load

SHOP = """\
label: clicked
group: user
weight: C_weight
features:
  user: {type: id}
  "C*": {type: id, vocabulary: open}
  price: {type: bucket, quantiles: 8, column: C_price}
  "I*": {type: number}
  genres: {type: ids}
  ts: {type: datetime, parts: [hour, day]}
  pair: {type: cross, of: [C1, user]}
  clicks: {type: sequence, of: C2, behaviour: click}
tables:
  rest: {features: ["C*", pair], scheme: hash, rows: 9, dim: 8}
  times: {features: [ts]}
"""
COLUMNS = ["clicked", "C2", "user", "I1", "C1", "C_weight", "C_price", "genres", "ts", "clicks", "other"]


@pytest.fixture
def resolved(load: Load) -> ResolvedConfig:
    return resolve(load(SHOP), COLUMNS)


def test_fields_are_in_the_order_of_the_config_and_globs_in_that_of_the_file(resolved: ResolvedConfig) -> None:
    assert resolved.fields == (
        Field(name="user", kind="id", feature="user", vocabulary="user"),
        Field(name="C2", kind="id", feature="C2", vocabulary="C2", open=True),
        Field(name="C1", kind="id", feature="C1", vocabulary="C1", open=True),
        Field(name="price", kind="id", feature="price", vocabulary="price"),
        Field(name="I1", kind="number", feature="I1", vocabulary=None),
        Field(name="genres", kind="ids", feature="genres", vocabulary="genres", pooling="mean"),
        Field(name="ts.hour", kind="id", feature="ts", vocabulary="ts.hour"),
        Field(name="ts.day", kind="id", feature="ts", vocabulary="ts.day"),
        Field(name="pair", kind="id", feature="pair", vocabulary="pair"),
        Field(
            name="clicks",
            kind="sequence",
            feature="clicks",
            vocabulary="C2",
            open=True,
            pooling="mean",
            behaviour="click",
        ),
    )


def test_each_vocabulary_is_in_one_table(resolved: ResolvedConfig) -> None:
    assert [(table.name, table.fields, table.dim) for table in resolved.tables] == [
        ("rest", ("C2", "C1", "pair", "clicks"), 8),
        ("times", ("ts.hour", "ts.day"), 16),
        ("user", ("user",), 16),
        ("price", ("price",), 16),
        ("genres", ("genres",), 16),
    ]
    assert resolved.tables[2].spec == FullTable(features=("user",))


def test_a_plan_answers_questions(resolved: ResolvedConfig) -> None:
    assert resolved.field("C1").open
    assert [field.name for field in resolved.fields_of_kind("ids", "number")] == ["I1", "genres"]
    assert resolved.vocabulary_of(resolved.field("clicks")) == "C2"
    assert resolved.input_columns() == [
        "user", "C2", "C1", "C_price", "I1", "genres", "ts", "clicks", "clicked", "C_weight",
    ]  # fmt: skip
    with pytest.raises(KeyError, match="C9"):
        resolved.field("C9")


def test_writing_a_plan_and_reading_it_gives_the_same_plan(resolved: ResolvedConfig, load: Load) -> None:
    assert resolve(load(dump(resolved)), COLUMNS) == resolved


def test_a_name_goes_before_a_glob_in_tables(load: Load) -> None:
    text = "label: y\nfeatures: {a: {type: id}, b: {type: id}, n: {type: number}, s: {type: sequence, of: a}}\n"
    tables = "tables: {rest: {features: ['*']}, mine: {features: [a]}}\n"
    resolved = resolve(load(text + tables), [])
    assert [(table.name, table.fields) for table in resolved.tables] == [("rest", ("b",)), ("mine", ("a", "s"))]


@pytest.mark.parametrize(
    ("features", "tables", "problem"),
    [
        ("'X*': {type: id}", "{}", "shop.yaml:2: features.X*: matches none of the 3 columns without a use"),
        (
            "'C*': {type: id}, '*1': {type: id}",
            "{}",
            "shop.yaml:2: features.*1: matches column 'C1', and so does 'C*'",
        ),
        (
            "'C*': {type: id}, p: {type: cross, of: [C1, C4]}",
            "{}",
            "shop.yaml:2: features.p.of[1]: must name an id feature, got 'C4'",
        ),
        (
            "'C*': {type: id}",
            "{t: {features: [C1, C4]}}",
            "shop.yaml:3: tables.t.features[1]: unknown feature 'C4'",
        ),
        ("'C*': {type: id}", "{t: {features: ['D*']}}", "tables.t.features[0]: 'D*' matches no feature with ids"),
        (
            "'C*': {type: id}",
            "{t: {features: ['C*']}, u: {features: ['*1']}}",
            "shop.yaml:3: tables.u.features[0]: 'C1' is in table 't' already",
        ),
        (
            "'C*': {type: id}",
            "{t: {features: ['C*']}, u: {features: [C1, C2, C3]}}",
            "shop.yaml:3: tables.t.features[0]: 'C*' matches only features that are named in a table",
        ),
        (
            "'C*': {type: id, vocabulary: open}",
            "{t: {features: [C1, C2], scheme: hash, rows: 1}}",
            "shop.yaml:2: features.C3.vocabulary: an open vocabulary needs a table with one of the schemes ha",
        ),
        (
            "'C*': {type: id}",
            "{C3: {features: [C1]}}",
            "shop.yaml:3: tables.C3: is also the name of the table that feature 'C3' has for itself",
        ),
        (
            "ts: {type: datetime}, ts.hour: {type: id}",
            "{}",
            "shop.yaml:2: features.ts.hour: is also the name of a part of a datetime feature",
        ),
    ],
)
def test_what_only_the_columns_can_tell_is_located(features: str, tables: str, problem: str, load: Load) -> None:
    config = load(f"label: y\nfeatures: {{{features}}}\ntables: {tables}\n")
    with pytest.raises(ConfigError) as error:
        resolve(config, ["C1", "C2", "y", "C3"])
    assert problem in str(error.value)


def test_equal_dims_are_checked_once_the_features_are_known(load: Load) -> None:
    text = "label: y\nfeatures: {'C*': {type: id}}\ntables: {t: {features: [C1], dim: 8}}\nmodel: {tower: fm}\n"
    config = load(text)
    assert resolve(config, ["C1"]).tables[0].dim == 8
    with pytest.raises(ConfigError, match="fm needs one dim for all tables, got t 8, all others 16"):
        resolve(config, ["C1", "C2"])


def test_the_time_of_a_split_is_not_matched_by_a_glob(load: Load) -> None:
    text = "label: y\nfeatures: {'*': {type: id}, g: {type: number}}\ngroup: g\ndata: {split: {by: time, column: t}}"
    assert list(resolve(load(text), ["a", "t", "g", "y"]).features) == ["a", "g"]


def test_a_column_with_a_star_in_its_name_needs_a_name_of_its_own(load: Load) -> None:
    config = load("label: y\nfeatures: {'C*': {type: id}}\n")
    assert list(resolve(config, ["C[1]"]).features) == ["C[1]"]
    with pytest.raises(ConfigError, match=r"features.C\*: matches column 'C\*2', whose \* or \?"):
        resolve(config, ["C1", "C*2"])


def test_brackets_in_a_glob_are_ordinary_characters(load: Load) -> None:
    config = load("label: y\nfeatures: {'C[1*': {type: id}}\n")
    assert list(resolve(config, ["C1", "C[12]"]).features) == ["C[12]"]


def test_missing_columns_are_named_with_their_place(resolved: ResolvedConfig) -> None:
    missing = missing_columns(resolved, ["clicked", "usr", *COLUMNS[3:]])
    assert [str(column) for column in missing] == [
        "shop.yaml:5: features.user: no column 'user' in the data; did you mean 'usr'?",
        "shop.yaml:6: features.C2: no column 'C2' in the data",
    ]
    assert missing_columns(resolved, COLUMNS) == []


def test_a_missing_time_to_split_by_is_one_of_them(load: Load) -> None:
    resolved = resolve(
        load("label: y\nfeatures: {a: {type: id}}\ndata:\n  split: {by: time, column: t}"), ["y", "a", "ts"]
    )
    assert [str(column) for column in missing_columns(resolved, ["y", "a", "ts"])] == [
        "shop.yaml:4: data.split.column: no column 't' in the data; did you mean 'ts'?"
    ]


@pytest.mark.parametrize(
    "shape", ["tables", "own tables", "unknown references", "unknown entries", "globs", "table globs"]
)
def test_thousands_of_features_are_resolved_or_refused_at_once(shape: str) -> None:
    names = [f"f{i}" for i in range(3000)]
    features: dict[str, Any] = {name: {"type": "id"} for name in names}
    tables: dict[str, Any] = {"t": {"features": tuple(names), "scheme": "hash", "rows": 9}}
    if shape == "own tables":
        tables = {}
    elif shape == "unknown references":
        features = {name: {"type": "sequence", "of": f"g{name}"} for name in names}
    elif shape == "unknown entries":
        features = dict(list(features.items())[:900])
    elif shape == "globs":
        features = {f"{name}*": feature for name, feature in features.items()}
    elif shape == "table globs":
        tables["t"]["features"] = tuple(f"{name}*" for name in names)
    began = time.process_time()
    refusal: AbstractContextManager[object] = pytest.raises(ConfigError, match="in the configuration")
    with nullcontext() if shape in ("tables", "own tables") else refusal:
        resolve(parse_config({"label": "y", "features": features, "tables": tables}), [*names, "y"])
    assert time.process_time() - began < 2
