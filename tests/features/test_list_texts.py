import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.features.list_texts import split_texts
from recsys.features.values import BadValue

LISTS: dict[str, list[str | None]] = {
    "[3, 7]": ["3", "7"],
    "[3,7]": ["3", "7"],
    "[3 7]": ["3", "7"],
    "[ 3  7]": ["3", "7"],
    "[3\n 7]": ["3", "7"],
    "['3', '7']": ["3", "7"],
    '["a", "b c"]': ["a", "b c"],
    "['a' 'b']": ["a", "b"],
    "['a'\n 'b']": ["a", "b"],
    "[a, b c]": ["a", "b c"],
    "[a]": ["a"],
    "(3, 7)": ["3", "7"],
    "(3,)": ["3"],
    "array([3, 7])": ["3", "7"],
    "array(['a', 'b'], dtype='<U1')": ["a", "b"],
    "[np.int64(3), np.str_('a')]": ["3", "a"],
    "[u'a', b'b']": ["a", "b"],
    "[3., 7.0, 1.5]": ["3.0", "7.0", "1.5"],
    "['3.0', '']": ["3.0", ""],
    "[null, None, nan, 'null']": [None, None, None, "null"],
    "['it\\'s', \"say \\\"x\\\"\", '\\\\']": ["it's", 'say "x"', "\\"],
    '["caf\\u00e9 \\ud83d\\ude00", "a\\/b\\n"]': ["caf\xe9 \U0001f600", "a/b\n"],
    '["a, b", "[c]", "(d)"]': ["a, b", "[c]", "(d)"],
    " [3, 7] ": ["3", "7"],
    "[3, 7,]": ["3", "7"],
    "[]": [],
    "[ ]": [],
    "()": [],
}
NO_LISTS = ["[0 1 ... 8 9]", "[3, 7", "[[1, 2], [3]]", "[3,,7]", "['a', b", "['a''b']", "[{'a': 1}]", "array([3, 7"]
PLAIN = {
    ("3|7", "|"): ["3", "7"],
    (" 3 | 7|", "|"): ["3", "7"],
    ("3||7||", "|"): ["3", "", "7"],
    ("New York|Rome", "|"): ["New York", "Rome"],
    ("[a] x|[b]", "|"): ["[a] x", "[b]"],
    ("[1999]", "|"): ["[1999]"],
    ("(no genres)", "|"): ["(no genres)"],
    ("(no genres)", ","): ["(no genres)"],
    ("[a],[b]", ","): ["[a]", "[b]"],
    ("(500) Days, Alien (1979)", ","): ["(500) Days", "Alien (1979)"],
    ("3, 7,", ","): ["3", "7"],
    ("3, 7", ", "): ["3", "7"],
    ("3  7 ", " "): ["3", "7"],
    ("3  7", " "): ["3", "7"],
    ("a$b$$c", "$"): ["a", "b", "", "c"],
    ("a::b:: c", "::"): ["a", "b", "c"],
    ("a\tb", "\t"): ["a", "b"],
    ("|", "|"): [],
    ("  ", "|"): [],
}


def entries(text: str, separator: str | None) -> list[str | None]:
    return split_texts(pl.Series([text]), separator).to_list()[0] or []


@pytest.mark.parametrize("separator", [None, ",", " ", ", "])
@pytest.mark.parametrize("text", LISTS)
def test_lists_of_other_programs_are_read_whatever_comma_or_blank_the_file_says(
    text: str, separator: str | None
) -> None:
    assert entries(text, separator) == LISTS[text]


@pytest.mark.parametrize("separator", [None, ","])
@pytest.mark.parametrize("text", NO_LISTS)
def test_what_begins_as_a_list_and_is_none_is_refused_with_its_row(text: str, separator: str | None) -> None:
    with pytest.raises(BadValue, match=r"expected a list such as \[3, 7\] or \['a', 'b'\].*, got ") as error:
        split_texts(pl.Series(["[1]", "", None, text]), separator)
    assert error.value.position == 3


@pytest.mark.parametrize(("text", "separator"), PLAIN)
def test_other_texts_are_split_and_blanks_and_empty_ends_do_not_count(text: str, separator: str) -> None:
    assert entries(text, separator) == PLAIN[text, separator]


@pytest.mark.parametrize("text", ["3|7", "x", "3 7", "[a],[b]", "(no genres)"])
def test_a_text_that_is_no_list_needs_a_separator(text: str) -> None:
    with pytest.raises(BadValue, match="give `separator` if its entries stand between others"):
        entries(text, None)


@pytest.mark.parametrize("text", ["[3, 7]", "['a', 'b']", "[3 7]"])
def test_a_list_where_another_separator_is_expected_is_no_single_entry(text: str) -> None:
    with pytest.raises(BadValue, match=r"expected entries that '\|' separates, got .*: leave `separator` out"):
        entries(text, "|")


@pytest.mark.parametrize("separator", [None, ",", " ", "|"])
def test_a_text_means_the_same_beside_any_others(separator: str | None) -> None:
    texts = [*LISTS, *(text for text, by in PLAIN if by == separator), "", "a", "b ", "x,y", '""']
    known = {}
    for text in texts:
        try:
            known[text] = entries(text, separator)
        except BadValue:
            continue
    together = split_texts(pl.Series([None, *known, None]), separator).to_list()
    assert [row or [] for row in together] == [[], *known.values(), []]


@pytest.mark.slow
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5), max_size=4))
def test_what_json_and_python_write_is_read_back(values: list[str]) -> None:
    for text in (json.dumps(values), json.dumps(values, ensure_ascii=False), repr(values), repr(tuple(values))):
        assert entries(text, None) == values


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30))
def test_what_numpy_writes_is_read_back(values: list[int]) -> None:
    assert entries(str(np.array(values, np.int64)), " ") == [str(value) for value in values]
