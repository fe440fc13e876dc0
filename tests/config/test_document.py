import os
import time
from pathlib import Path

import pytest

from recsys.config.document import MAX_BYTES, read_yaml
from tests.config.loading import Load, Problems

GOOD = "label: y\nfeatures: {a: {type: id, min_count: 1}}\n"
OTHER = "grup: x\n"
OTHER_PROBLEM = "shop.yaml:1: grup: unknown key; did you mean 'group'?"


@pytest.mark.parametrize(
    "value",
    [
        "!!int x",
        "!!int ''",
        "!!int [1]",
        "!!float abc",
        "!!bool maybe",
        "!!null no",
        "!!binary aGk=",
        "!!set {a, b}",
        "!!python/object/apply:os.system [ls]",
        "!secret a",
        "! {a: 1}",
        "+_",
        "9" * 5000,
        "0x" + "f" * 5000,
        '"\\ud83d"',
    ],
)
def test_a_value_that_cannot_be_read_is_a_problem_beside_the_files_others(value: str, problems: Problems) -> None:
    found = problems(OTHER + GOOD.replace("min_count: 1", f"min_count: {value}"))
    assert found[1] == OTHER_PROBLEM
    assert len(found) == 3
    assert found[2].startswith("shop.yaml:3: ")
    assert len(found[2]) < 250


@pytest.mark.parametrize("value", ["!!int x", '"\\ud800"', "!a [b]"])
@pytest.mark.parametrize(
    "line", ["label: %s", "model: {tower: %s}", "model: {tower: mlp, mlp: [%s]}", "tables: {t: %s}", "train: %s"]
)
def test_an_unreadable_value_is_reported_once_wherever_it_stands(line: str, value: str, problems: Problems) -> None:
    rest = [text for text in GOOD.splitlines() if not line.startswith(text[:5])]
    found = problems("\n".join([line % value, *rest]))
    assert len(found) == 2
    assert found[1].startswith("shop.yaml:1: ")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ('"\\ud800"', "which is half of a character"),
        ('"a\\0b"', "which no key has"),
        ("? [a]\n", "a key must be plain text"),
        ("!x a", "a key must be plain text"),
        ("<<", "<< takes the keys of a mapping"),
    ],
)
def test_a_key_that_cannot_be_one_is_a_problem_beside_the_files_others(
    key: str, words: str, problems: Problems
) -> None:
    found = problems(f"{OTHER}{GOOD}{key}: 1\n")
    assert found[1] == OTHER_PROBLEM
    assert len(found) == 3
    assert words in found[2]
    assert found[2].isprintable()


@pytest.mark.parametrize("key", ["scheme=full", "type=id", "shape=text", "[key]", "tower=mlp", "name=logloss"])
def test_keys_that_look_like_tags_of_the_loader_are_ordinary(key: str, problems: Problems) -> None:
    assert problems(f"{GOOD}'{key}': 1\n")[1:] == [f"shop.yaml:3: {key}: unknown key"]
    assert problems(f"label: y\nfeatures:\n  '{key}': {{type: id, x: 1}}\n")[1:] == [
        f"shop.yaml:3: features.{key}.x: unknown key for type id"
    ]
    assert problems(f"label: {{'{key}': 3}}\n{GOOD[9:]}")[1:] == [
        f"shop.yaml:1: label.{key}: expected text, got 3; write it in quotes: '3'"
    ]


def test_aliases_of_aliases_are_refused_at_once(problems: Problems) -> None:
    lines = ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    began = time.process_time()
    found = problems("\n".join([*lines, GOOD]))
    assert time.process_time() - began < 1
    assert any("aliases repeat its values until there are " in line for line in found)


def test_many_mistakes_are_listed_up_to_a_hundred(problems: Problems) -> None:
    began = time.process_time()
    found = problems(GOOD + "".join(f"key{i}: 1\n" for i in range(3000)))
    assert time.process_time() - began < 2
    assert len(found) == 102
    assert found[-1].startswith("... and ")


def test_files_that_are_no_utf8_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for content, words in {
        GOOD.encode("utf-16"): "is not UTF-8 text (UTF-16)",
        b"label: y\n\xff": "is not UTF-8 text (byte 9)",
        b"# \xc3" * MAX_BYTES: "must be at most 1,000,000 characters",
        b"\xef\xbb\xbf": "is empty",
        b"\xef\xbb\xbf- a": "must be a mapping",
    }.items():
        path.write_bytes(content)
        (problem,) = read_yaml(path, "a.yaml").problems
        assert problem.text.startswith(words)
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_yaml(path, "a.yaml").problems == []


def test_a_pair_of_surrogates_as_json_writes_it_is_one_character(load: Load) -> None:
    config = load('label: y\nfeatures: {"\\ud83d\\ude00": {type: id, column: "\\ud83d\\ude01"}}\n')
    assert config.features["\U0001f600"].column_of("x") == "\U0001f601"


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in {
        tmp_path / "pipe": "is no regular file",
        tmp_path: "is a folder, not a file",
        Path("/dev/zero"): "is no regular file",
        tmp_path / ("a" * 5000): "cannot be read: File name too long",
        tmp_path / "a\0b": "is no path: embedded null byte",
    }.items():
        (problem,) = read_yaml(path, "a.yaml").problems
        assert problem.text == words
