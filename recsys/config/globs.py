"""Names with * and ?, which stand for all names that match. Brackets are ordinary characters."""

from fnmatch import fnmatchcase

__all__ = ["is_glob", "matches", "overlaps"]


def is_glob(name: str) -> bool:
    """Say whether a name stands for several."""
    return "*" in name or "?" in name


def matches(name: str, pattern: str) -> bool:
    """Say whether `pattern` stands for `name`.

    >>> matches("C12", "C*"), matches("price[usd]", "price[usd]"), matches("c1", "C*")
    (True, True, False)
    """
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def overlaps(first: str, second: str) -> bool:
    """Say whether one of two names, each of them possibly a glob, covers the other.

    >>> overlaps("C*", "C3"), overlaps("C1*", "C*"), overlaps("C3", "C4")
    (True, True, False)
    """
    return matches(first, second) or matches(second, first)
