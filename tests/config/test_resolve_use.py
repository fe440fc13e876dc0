"""Tests of `features.X.use: false`."""

import pytest

from recsys.config import dump, missing_columns, resolve
from recsys.config.load import parse_text
from tests.config.loading import Load, Problems

SHOP = """\
label: clicked
features:
  user: {type: id, use: false}
  "C*": {type: id}
  C3: {type: id, use: false}
  price: {type: number}
  ts: {type: datetime, parts: [hour], use: false}
tables:
  all: {features: [user, "C*"], scheme: unified, rows: 9, lookups: {user: 2}}
  times: {features: [ts], dim: 8}
"""
COLUMNS = ["clicked", "user", "C1", "C2", "C3", "price", "ts"]


def test_a_feature_that_is_not_used_has_no_field_no_table_and_no_column(load: Load) -> None:
    resolved = resolve(load(SHOP), COLUMNS)
    assert [field.name for field in resolved.fields] == ["C1", "C2", "price"]
    assert list(resolved.features) == ["C1", "C2", "price"]
    assert [(table.name, table.fields) for table in resolved.tables] == [("all", ("C1", "C2"))]
    assert resolved.input_columns() == ["C1", "C2", "price", "clicked"]


def test_its_column_may_be_absent_and_is_matched_by_no_glob(load: Load) -> None:
    resolved = resolve(load(SHOP), ["clicked", "C1", "price"])
    assert missing_columns(resolved, ["clicked", "C1", "price"]) == []


def test_a_glob_that_is_not_used_may_match_nothing(load: Load) -> None:
    config = load('label: y\nfeatures: {a: {type: id}, "C*": {type: id, use: false}}')
    assert list(resolve(config, ["a", "y"]).features) == ["a"]
    assert list(resolve(config, ["a", "y", "C1"]).features) == ["a"]


def test_what_is_written_resolves_to_the_same(load: Load) -> None:
    resolved = resolve(load(SHOP), COLUMNS)
    assert resolve(parse_text(dump(resolved)), []) == resolved


@pytest.mark.parametrize(
    ("features", "line"),
    [
        (
            "{a: {type: id, use: false}, b: {type: id}, s: {type: sequence, of: a}}",
            "shop.yaml:2: features.s.of: must name a feature that is used, but 'a' has `use: false`; "
            "so must this one, or leave that out",
        ),
        (
            "{a: {type: id, use: false}, b: {type: id}, ab: {type: cross, of: [b, a]}}",
            "shop.yaml:2: features.ab.of[1]: must name a feature that is used, but 'a' has `use: false`; "
            "so must this one, or leave that out",
        ),
        (
            "{a: {type: id, use: false}}",
            "shop.yaml:2: features: must have a feature that is used; all have `use: false`",
        ),
        ("{a: {type: id, use: 0}}", "shop.yaml:2: features.a.use: expected true or false, got 0"),
    ],
)
def test_what_needs_it_is_refused(problems: Problems, features: str, line: str) -> None:
    assert problems(f"label: y\nfeatures: {features}\n")[1:] == [line]


def test_what_is_made_of_it_may_be_left_out_too(load: Load) -> None:
    text = "label: y\nfeatures: {a: {type: id, use: false}, b: {type: id}, s: {type: sequence, of: a, use: false}}"
    assert list(resolve(load(text), ["b", "y"]).features) == ["b"]


def test_a_tower_is_not_given_what_is_not_used(load: Load, problems: Problems) -> None:
    off = "label: y\nfeatures: {a: {type: id, use: false}, b: {type: id}}\n"
    load(f"{off}tables: {{t: {{features: [a], dim: 8}}}}\nmodel: {{tower: fm, dim: 4}}\n")
    load(f"{off}tables: {{t: {{features: [b], dim: 8}}}}\nmodel: {{tower: fm, dim: 4}}\n")
    text = "label: y\nfeatures: {a: {type: id}, s: {type: sequence, of: a, use: false}}\nmodel: {tower: din}\n"
    assert "din needs at least one feature of type sequence" in problems(text)[1]
