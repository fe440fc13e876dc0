"""Tests of recsys/config/edit.py, and of the places and texts that it uses."""

import difflib
from pathlib import Path

import pytest

from recsys.config.document import parse_yaml
from recsys.config.edit import REMOVED, edit_yaml
from recsys.errors import ConfigError

FILES = sorted(
    path
    for folder in ("feature_configs", "pipelines")
    for path in Path(__file__).parents[2].glob(f"{folder}/**/*.yaml")
)


def plain(text):
    document = parse_yaml(text, "a.yaml")
    assert not document.problems
    return document.root.plain()


def lines_that_differ(before, after):
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


WRITTEN = """\
# a model of clicks

label:   clicked        # the label
features:
    user: {type: 'id',  min_count: 2}     # who
    "C*": {type: id,
           max_size: 10,  # the most frequent
          }

    tags:                   # several
        type: ids
        separator: "|"
tables:
  wide:
    # two of them
    features:
    - user   # first
    - tags   # second
    dim: 32
train: {epochs: 1e1}
"""


@pytest.mark.parametrize(
    ("changes", "removed", "added"),
    [
        ({("label",): "bought"}, ["label:   clicked        # the label"], ["label: bought        # the label"]),
        (
            {("features", "user", "use"): False},
            ["    user: {type: 'id',  min_count: 2}     # who"],
            ["    user: {type: 'id',  min_count: 2, use: false}     # who"],
        ),
        (
            {("features", "user", "min_count"): REMOVED},
            ["    user: {type: 'id',  min_count: 2}     # who"],
            ["    user: {type: 'id'}     # who"],
        ),
        (
            {("features", "C*", "kept"): "kept/a b.parquet"},
            ["           max_size: 10,  # the most frequent"],
            ['           max_size: 10, kept: "kept/a b.parquet",  # the most frequent'],
        ),
        ({("features", "C1"): {"type": "id"}}, [], ["    C1: {type: id}"]),
        ({("features", "tags", "max_len"): 4}, [], ["        max_len: 4"]),
        ({("features", "tags", "separator"): REMOVED}, ['        separator: "|"'], []),
        ({("tables", "wide", "features"): ["tags"]}, ["    - user   # first"], []),
        ({("tables", "wide", "features"): ["user", "tags", "C*"]}, [], ['    - "C*"']),
        ({("tables", "wide", "features", 1): "C*"}, ["    - tags   # second"], ['    - "C*"   # second']),
        ({("tables", "wide", "dim"): 8}, ["    dim: 32"], ["    dim: 8"]),
        (
            {("tables", "wide"): {"features": ("user", "tags"), "scheme": "hash", "rows": 9}},
            ["    dim: 32"],
            ["    scheme: hash", "    rows: 9"],
        ),
        ({("tables", "narrow"): {"features": ["x"], "dim": 4}}, [], ["  narrow: {features: [x], dim: 4}"]),
        (
            {("model",): {"tower": "fm", "dim": 8}, ("data", "train"): "a.csv"},
            [],
            ["model:", "  tower: fm", "  dim: 8", "data:", "  train: a.csv"],
        ),
        ({("train", "seed"): 3}, ["train: {epochs: 1e1}"], ["train: {epochs: 1e1, seed: 3}"]),
        ({("train",): REMOVED}, ["train: {epochs: 1e1}"], []),
        ({("label",): "clicked", ("train", "epochs"): 10.0, ("train", "seed"): REMOVED}, [], []),
    ],
)
def test_only_the_lines_of_changed_keys_differ(changes, removed, added):
    after = edit_yaml(WRITTEN, changes)
    differ = lines_that_differ(WRITTEN, after)
    assert [line[2:] for line in differ if line[0] == "-"] == removed
    assert [line[2:] for line in differ if line[0] == "+"] == added


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_files_of_this_repository_keep_all_other_lines(path):
    text = path.read_text(encoding="utf-8")
    after = edit_yaml(text, {("train", "seed"): 271828, ("tables", "of its own", "features"): ["x"]})
    assert plain(after)["train"]["seed"] == 271828
    differ = lines_that_differ(text, after)
    assert len([line for line in differ if line[0] == "-"]) <= 1  # the seed, where the file states one
    assert len(differ) <= 6


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n", "\n\n# the end"])
def test_line_ends_stay_as_they_are(ends, last):
    text = f"a: 1{ends}b:{ends}  c: 2{last}".replace("\n", ends).replace("\r\r", "\r")
    after = edit_yaml(text, {("b", "d"): 3, ("a",): REMOVED})
    assert after == text.replace(f"a: 1{ends}", "").replace("c: 2", f"c: 2{ends}  d: 3")


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("a:\nb: 1\n", {("a",): 2}, "a: 2\nb: 1\n"),
        ("a:   # why\nb: 1\n", {("a",): 2}, "a: 2   # why\nb: 1\n"),
        ("a:   # why\n- 1\n- 2\nb: 1\n", {("a",): 2}, "a: 2   # why\nb: 1\n"),
        ("{a, b: 1}", {("a",): 2}, "{a: 2, b: 1}"),
        ("{a: 1, b: 1,}\n", {("b",): REMOVED}, "{a: 1,}\n"),
        ("{a: 1, b: 1}\n", {("a",): REMOVED, ("c",): 3}, "{b: 1, c: 3}\n"),
        ("a: {}\n", {("a", "b"): 1}, "a:\n  b: 1\n"),
        ("a: {b: 1}\nc: 1\n", {("a", "b"): REMOVED}, "a: {}\nc: 1\n"),
        ("a:\n- x: 1\n  y: 2\n- z\n", {("a", 0, "x"): REMOVED}, "a:\n- y: 2\n- z\n"),
        ("a: |\n  long\n  text\n\nb: 1\n", {("a",): "short"}, "a: short\n\nb: 1\n"),
        ("a: [1, 2, 3]\n", {("a",): [1, 3, 4]}, "a: [1, 3, 4]\n"),
        ("a: [1, 2]\n", {("a", 1): REMOVED, ("a", 2): 5}, "a: [1, 5]\n"),
        ('"a:b": 1\n', {("a:b",): 2}, '"a:b": 2\n'),
        ("a: 1\n", {("a",): 1.0}, "a: 1.0\n"),
        ("a: 1\n", {("a",): True}, "a: true\n"),
    ],
)
def test_forms_of_yaml(text, changes, expected):
    assert edit_yaml(text, changes) == expected


@pytest.mark.parametrize(
    "value", ["NO", "true", "1e-3", "null", "~", "x: y", "a # b", "*x", "", " ", "\n", "é", "2024-01-01"]
)
def test_texts_that_would_be_read_as_something_else_are_quoted(value):
    assert plain(edit_yaml("a: {b: 1}\n", {("a", "b"): value, ("a", value): [value]})) == {
        "a": {"b": value, value: (value,)}
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # an alias gets what it stands for, with the change
        ({("c", "x"): 5}, "a: &one {x: 1, w: 2}   # first\nb: {<<: *one, z: 3}\nc:\n  x: 5\n  w: 2\n"),
        # an anchor is changed: others keep what they had
        ({("a", "x"): 5}, "a: &one {x: 5, w: 2}   # first\nb: {<<: {x: 1, w: 2}, z: 3}\nc: {x: 1, w: 2}\n"),
        ({("a",): REMOVED}, "b: {<<: {x: 1, w: 2}, z: 3}\nc: {x: 1, w: 2}\n"),
        # a key that is lent by << is overridden
        ({("b", "x"): 5}, "a: &one {x: 1, w: 2}   # first\nb: {<<: *one, z: 3, x: 5}\nc: *one\n"),
        # and cannot be taken away, so the mapping is written out
        ({("b", "x"): REMOVED}, "a: &one {x: 1, w: 2}   # first\nb:\n  w: 2\n  z: 3\nc: *one\n"),
    ],
)
def test_anchors_and_aliases_change_nothing_else(changes, expected):
    assert edit_yaml("a: &one {x: 1, w: 2}   # first\nb: {<<: *one, z: 3}\nc: *one\n", changes) == expected


def test_changed_lines_get_the_note_unless_they_have_a_comment():
    text = "a: 1  # mine\nb: {c: 1}\nd: 1\n"
    changes = {("a",): 2, ("b", "c"): 2, ("b", "e"): 3, ("f",): 4}
    expected = "a: 2  # mine\nb: {c: 2, e: 3}\nd: 1\nf: 4  # found\n"
    assert edit_yaml(text, changes, note="found") == expected


def test_long_values_are_written_on_several_lines():
    blocks = [{"ids": 1000 + i, "columns": ["0-3", "8-11"]} for i in range(6)]
    after = edit_yaml("tables:\n  a: {features: [a]}\n", {("tables", "b"): {"features": ["b"], "blocks": blocks}})
    assert plain(after)["tables"]["b"]["blocks"][5] == {"ids": 1005, "columns": ("0-3", "8-11")}
    assert max(map(len, after.splitlines())) <= 120


@pytest.mark.parametrize(
    ("text", "changes"),
    [("? a\n: 1\n", {("b",): REMOVED, ("a",): REMOVED}), ("a: 1\n", {("a",): REMOVED}), ("a: [1]\n", {("a", 0, 0): 1})],
)
def test_what_cannot_be_changed_in_place_is_refused(text, changes):
    with pytest.raises(ConfigError, match=r"mine\.yaml: .* cannot be changed in place"):
        edit_yaml(text, changes, name="mine.yaml")


def test_a_text_that_is_no_yaml_is_refused_with_its_line():
    with pytest.raises(ConfigError, match=r"mine\.yaml:2: "):
        edit_yaml("a: 1\nb: ]\n", {("a",): 2}, name="mine.yaml")
