"""Names of features, tables and tasks: nearly any text is one, and the others are refused by name."""

import json

import pytest

from recsys.config import dump, resolve
from recsys.config.load import parse_text
from tests.config.loading import Load, Problems
from tests.config.texts import PERMITTED

REFUSED = {
    "": "must not be empty",
    "a" * 201: "must be at most 200 characters long, got 201",
    "a" * 1000: "must be at most 200 characters long, got 1,000",
    "a\nb": "must not have line breaks or control characters, got 'a\\nb'",
    "a\u2028b": "must not have line breaks or control characters",
    "\x1b[2J": "must not have line breaks or control characters",
    "\t": "must not have line breaks or control characters",
}


def text_of(name: str) -> str:
    """Return a configuration with a feature, a task and a table of a name; the table's has a letter more."""
    key, table = json.dumps(name), json.dumps(f"{name}t")
    return (
        f"label: {{{key}: y}}\nfeatures: {{{key}: {{type: id, column: c}}, b: {{type: sequence, of: {key}}}}}\n"
        f"tables: {{{table}: {{features: [{key}], scheme: hash, rows: 9}}}}\n"
    )


@pytest.mark.parametrize("name", PERMITTED)
def test_nearly_any_text_is_a_name(name: str, load: Load) -> None:
    resolved = resolve(load(text_of(name)), ["c", "b", "y"])
    assert [field.name for field in resolved.fields] == [name, "b"]
    assert [table.name for table in resolved.tables] == [f"{name}t"]
    again = parse_text(dump(resolved))
    assert list(again.features) == [name, "b"]
    assert again.labels == {name: "y"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_fits_on_no_line_is_refused_by_name(name: str, problems: Problems) -> None:
    key, features = json.dumps(name), "features: {a: {type: id}}\n"
    for section, what, text in (
        ("features", "feature", f"label: y\nfeatures: {{{key}: {{type: id, column: c}}}}\n"),
        ("label", "task", f"label: {{{key}: y}}\n{features}"),
        ("tables", "table", f"label: y\n{features}tables: {{{key}: {{features: [a]}}}}\n"),
    ):
        (found,) = problems(text)[1:]
        assert f": {section}." in found
        assert f"the name of a {what} {REFUSED[name]}" in found
        assert found.isprintable()
        assert len(found) < 250


def test_a_column_without_a_printable_name_is_read_under_another(load: Load) -> None:
    config = load('label: y\nfeatures: {price: {type: id, column: "price\\n(USD)"}}\n')
    assert config.features["price"].column_of("price") == "price\n(USD)"


def test_tables_that_checkpoints_cannot_tell_apart_are_refused(problems: Problems) -> None:
    text = "label: y\nfeatures: {a.b: {type: id}, c: {type: id}}\ntables: {a/b: {features: [c]}}\n"
    (found,) = problems(text)[1:]
    assert "is table 'a/b' with dots for slashes, which checkpoints cannot tell apart" in found
