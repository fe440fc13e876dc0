r"""Texts that hold several entries: "3|7", and lists as JSON, Python, numpy and Java write them: [3, 7], ['a'], [3 7].

Each text is read by itself, so that it means the same in every row, in training and where a model serves.
"""

import re

import numpy as np
import polars as pl
import pyarrow as pa

from recsys.config.problems import shorten
from recsys.features.values import BadValue

__all__ = ["split_texts"]

_BLANKS = " \t\r\n"
_B = f"[{_BLANKS}]"
_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NULLS = ("null", "None", "nan", "NaN")
_SCALAR = rf"[ub]?(?:{_QUOTED})|{_NUMBER}"
_VALUE = rf"(?:{_SCALAR}|{'|'.join(_NULLS)}|[Tt]rue|[Ff]alse|np\.\w+\((?:{_SCALAR})\))"
_VALUES = rf"{_VALUE}(?:{_B}*,{_B}*{_VALUE})*{_B}*,?|{_VALUE}(?:{_B}+{_VALUE})*"
_LIST = rf"(?s)^\[{_B}*(?:{_VALUES})?{_B}*\]$"
_SEVERAL = rf"(?s)^\[{_B}*{_VALUE}{_B}*[, ].*\]$"
_TUPLE = rf"(?s)^\({_B}*(?:{_VALUE}{_B}*,{_B}*(?:{_VALUES})?)?{_B}*\)$"
_WORDS = r"""(?s)^\[[^,\[\]"']+(?:,[^,\[\]"']+)*\]$"""
_CLOSED_EARLY = r"(?s)^\[[^\[\]]*\].*\S"
_ARRAY = r"(?s)^array\((.*?)(?:,\s*dtype=[^()]*)?\)$"
_TOKEN = rf"(?s)np\.\w+\((?:{_SCALAR})\)|[ub]?(?:{_QUOTED})|[^,{_BLANKS}\[\]()]+"
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_EXPECTED = "a list such as [3, 7] or ['a', 'b']"


def split_texts(texts: pl.Series, separator: str | None) -> pl.Series:
    """Return the entries of each text.

    A text in brackets is a list as other programs write it, unless the separator is another one than a comma or a
    blank: then brackets are part of the entries. Any other text is split at the separator. Blanks around entries do
    not count, nor do empty entries at the end.

    >>> split_texts(pl.Series(["[3, null]", "['a b', 'c']", "[3 7.]", "x, y,", "[]"]), ",").to_list()
    [['3', None], ['a b', 'c'], ['3', '7.0'], ['x', 'y'], []]

    Returns:
        List(String) of the same length; null or empty where there is no entry.

    Raises:
        BadValue: a text is in brackets and no list, or in none and there is no separator.
    """
    if separator is not None and not _may_be_lists(texts):
        return _split(texts, separator)
    bare = texts.str.strip_chars(" ")
    if bare.str.starts_with("array").any():
        bare = bare.str.replace(_ARRAY, "$1")
    if separator is not None and separator.strip() not in ("", ","):
        _refuse_lists(texts, bare, separator)
        return _split(texts, separator)
    is_list = (bare.str.contains(_LIST) | bare.str.contains(_TUPLE)).fill_null(False)
    others = bare.set(is_list, None)
    is_words = (others.str.contains(_WORDS) & ~others.str.contains("...", literal=True)).fill_null(False)
    others = others.set(is_words | (others == ""), None)
    _refuse(texts, others, separator)
    listed = _listed(bare, is_list, is_words)
    if separator is None or others.null_count() == len(others):
        return listed
    return pl.select(pl.when(others.is_null()).then(listed).otherwise(_split(texts, separator))).to_series()


def _may_be_lists(texts: pl.Series) -> bool:
    return bool(texts.str.contains(r"^(?:\[|\(| |array)").any())


def _split(texts: pl.Series, separator: str) -> pl.Series:
    split = texts.set(texts == "", None).str.split(separator)
    if not (texts.str.ends_with(separator).any() or _has_blanks(texts, split, separator)):
        return split
    mark = pl.escape_regex(separator)
    texts = texts.str.replace(rf"(?: *{mark})+ *$", "")
    texts = texts.str.replace_all(rf" *{mark} *", separator.replace("$", "$$")).str.strip_chars(" ")
    return texts.set(texts == "", None).str.split(separator)


def _has_blanks(texts: pl.Series, split: pl.Series, separator: str) -> bool:
    """Say whether some entry has blanks around it: where most texts have none at all, a look at the texts tells."""
    if not separator.strip(" "):
        return bool((split.explode() == "").any())
    if not texts.str.contains(" ", literal=True).any():
        return False
    entries = split.explode()
    return bool(entries.str.starts_with(" ").any() or entries.str.ends_with(" ").any())


def _refuse_lists(texts: pl.Series, bare: pl.Series, separator: str) -> None:
    """Refuse lists of two and more values in which another separator does not occur: they would be one entry."""
    is_list = bare.str.contains(_LIST) & bare.str.contains(_SEVERAL) & ~texts.str.contains(separator, literal=True)
    if is_list.any():
        row = int(is_list.arg_true()[0])
        got = f"got {shorten(repr(texts[row]))}: leave `separator` out"
        raise BadValue(f"expected entries that {separator!r} separates, {got}", row)


def _refuse(texts: pl.Series, others: pl.Series, separator: str | None) -> None:
    """Refuse what is not read as a list and not to be split; `others` is null where a text is read."""
    bad, remedy = others.is_not_null(), " (give `separator` if its entries stand between others)"
    if separator is not None:
        bad = (others.str.contains(r"^(?:\[|array\(\[)") & ~others.str.contains(_CLOSED_EARLY)).fill_null(False)
        remedy = ""
    if bad.any():
        row = int(bad.arg_true()[0])
        raise BadValue(f"expected {_EXPECTED}{remedy}, got {shorten(repr(texts[row]))}", row)


def _listed(bare: pl.Series, is_list: pl.Series, is_words: pl.Series) -> pl.Series:
    """Return the entries of lists, whose texts are quoted, and of words between commas; none of all other texts."""
    found = bare.set(~is_list, None).str.extract_all(_TOKEN)
    if is_words.any():
        words = _split(bare.str.slice(1).str.strip_suffix("]"), ",")
        found = pl.select(pl.when(is_words).then(words).otherwise(found)).to_series()
    lengths = found.list.len().fill_null(0)
    entries = _values(found.filter(lengths > 0).explode().cast(pl.String), bare)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths.to_numpy())])
    return pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(offsets), entries.to_arrow())))


def _values(tokens: pl.Series, lists: pl.Series) -> pl.Series:
    """Return what the tokens of lists stand for: texts without quotes, numbers as they are written, null.

    A look at the lists, which are fewer, saves many at the tokens.
    """
    if lists.str.contains(r"""np\.|[ub]["']""").any():
        tokens = tokens.str.replace(r"(?s)^np\.\w+\((.*)\)$", "$1").str.replace(r"""^[ub](["'])""", "$1")
    values = tokens.set(tokens.is_in(_NULLS), None)
    if lists.str.contains(".", literal=True).any():
        values = values.str.replace(r"^([+-]?\d+)\.$", "$1.0")  # numpy's way to write 3.0
    if not lists.str.contains(r"""["']""").any():
        return values
    is_quoted = tokens.str.starts_with('"') | tokens.str.starts_with("'")
    texts = tokens.str.head(-1).str.slice(1)
    if lists.str.contains("\\", literal=True).any():
        escaped = is_quoted & texts.str.contains("\\", literal=True)
        texts = texts.scatter(escaped.arg_true(), [_unescaped(text) for text in texts.filter(escaped)])
    return texts.zip_with(is_quoted, values)


def _unescaped(text: str) -> str:
    r"""Return a text without the escapes of JSON and Python.

    >>> print(_unescaped(r"it\'s \x41\\\ud83d\ude00") == "it's A\\\U0001f600")
    True
    """
    plain = _ESCAPE.sub(lambda match: _character(match[0][1:]), text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(code: str) -> str:
    return chr(int(code[1:], 16)) if len(code) > 1 else _CONTROLS.get(code, code)
