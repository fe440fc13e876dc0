import pytest

from recsys.config.compose import MAX_DEPTH, NotYamlError, compose
from tests.config.loading import Problems


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: b\n" + "c: " + "[" * (MAX_DEPTH + 1), 2, f"nested more than {MAX_DEPTH} deep"),
        ("a: " + "{b: " * 5000, 1, f"nested more than {MAX_DEPTH} deep"),
        ("\n".join(" " * i + "a:" for i in range(1000)), MAX_DEPTH, f"nested more than {MAX_DEPTH} deep"),
        ('a: b\nc: "\\U00110000"', 2, r"\U takes eight digits"),
        ("a: 1\nb: 2\n---\nc: 3", 3, "but found another document"),
        ("a: 1\n\nb: \x01", 3, r"the character '\x01' is not allowed"),
        ("%YAML 9.9\n---\na: 1", 1, "is not YAML"),
        ("%FOO bar\n%YAML x\n---\na: 1", 2, "is not YAML"),
    ],
)
def test_a_text_that_cannot_be_parsed_is_one_located_problem(text: str, line: int, words: str) -> None:
    with pytest.raises(NotYamlError) as error:
        compose(text, "a.yaml")
    assert error.value.problem.location == ("a.yaml", line)
    assert words in error.value.problem.text


def test_a_text_of_too_many_values_is_one_located_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.config.compose.MAX_VALUES", 100)
    compose("a: [" + "0," * 90 + "]", "a.yaml")
    with pytest.raises(NotYamlError, match="more than 100 keys and values"):
        compose("a: [" + "0," * 110 + "]", "a.yaml")


def test_an_anchor_may_be_used_again(problems: Problems) -> None:
    found = problems("label: &a y\ngroup: &a 3\nweight: *a\n")
    assert [line.partition(": ")[2] for line in found[1:] if "expected" in line] == [
        "group: expected text, got 3; write it in quotes: '3'",
        "weight: expected text, got 3; write it in quotes: '3'",
    ]
