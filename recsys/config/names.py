"""Rules for texts and names of a configuration: what cannot be stored, and what cannot be printed on one line."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from recsys.config.problems import Problem, shorten

__all__ = ["check_names", "join_pairs", "name_problem", "text_problem"]

MAX_LENGTH = 200
"""Characters of a name of a feature, table or task. They stand in tables of a terminal and in names of tensors."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = ("Cc", "Zl", "Zp")
"""Categories of control characters and of breaks of lines and paragraphs."""


def join_pairs(text: str) -> str:
    r"""Return a text in which each pair of surrogates, as JSON writes rare characters, is one character.

    >>> join_pairs("\ud83d\ude00") == "\U0001f600"
    True
    """
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def text_problem(text: str) -> str:
    r"""Say why a text cannot be stored as UTF-8; "" if it can.

    >>> text_problem("Müller"), text_problem("\ud800")
    ('', 'has \\ud800, which is half of a character')
    """
    found = _SURROGATE.search(text)
    return f"has \\u{ord(found[0]):x}, which is half of a character" if found else ""


def check_names(section: str, names: Iterable[str], *, what: str, remedy: str = "") -> Iterator[Problem]:
    """Yield what is wrong with the names that are the keys of a section.

    Args:
        section: "features".
        names: its keys.
        what: they name, for messages: "feature".
        remedy: what to do instead of calling it so, if anything.
    """
    for name in names:
        if text := name_problem(name):
            yield Problem((section, name), f"the name of a {what} {text}{remedy}")


def name_problem(name: str) -> str:
    """Return what is wrong with a name; "" if nothing is."""
    if not name:
        return "must not be empty"
    if len(name) > MAX_LENGTH:
        return f"must be at most {MAX_LENGTH} characters long, got {len(name):,}"
    if text := text_problem(name):
        return text
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        return f"must not have line breaks or control characters, got {shorten(repr(name))}"
    return ""
