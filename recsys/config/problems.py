"""Problems of a configuration, and the lines of the files on which they are written."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from recsys.errors import ConfigError
from recsys.registry import did_you_mean

__all__ = [
    "MAX_PROBLEMS",
    "TAG_MARK",
    "UNREADABLE",
    "KeyPath",
    "Located",
    "Problem",
    "SourceMap",
    "Unreadable",
    "YamlLocation",
    "config_error",
    "did_you_mean",
    "shorten",
    "spell",
]

KeyPath = tuple[str | int, ...]
"""Way to a value: ("tables", "items", "features", 0)."""

MAX_PROBLEMS = 100
"""Problems that one message lists."""
TAG_MARK: Final = "\0"
"""Begins what pydantic puts into the path of a problem beside the keys of the file; no key has it."""


class Unreadable(Enum):
    """Stands for a value whose problem has been reported when it was read."""

    UNREADABLE = "unreadable"


UNREADABLE: Final = Unreadable.UNREADABLE


class YamlLocation(NamedTuple):
    """A line of a file; line 0 is the file as a whole."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Problem(NamedTuple):
    """One thing that is wrong."""

    path: KeyPath
    text: str
    """The rule and the value: "must be at least 2, got 0"."""


class Located(NamedTuple):
    """A problem as it is printed: "FILE:LINE: text"."""

    location: YamlLocation | None
    text: str


def config_error(problems: Iterable[Located]) -> ConfigError:
    """Return one error with a line for each problem, by file and line."""
    ordered = sorted(set(problems), key=lambda problem: (problem.location or YamlLocation("", 0), problem.text))
    count = f"{len(ordered):,} problem{'s' if len(ordered) > 1 else ''} in the configuration"
    lines = [f"{p.location}: {_cut(p.text)}" if p.location else _cut(p.text) for p in ordered[:MAX_PROBLEMS]]
    more = [f"... and {len(ordered) - MAX_PROBLEMS:,} more"] if len(ordered) > MAX_PROBLEMS else []
    return ConfigError("\n".join([count, *lines, *more]))


def _cut(text: str) -> str:
    """Return a text whose middle is left out if it quotes a very long value; rule and remedy are at its ends."""
    return text if len(text) <= 1000 else f"{text[:600]} ... {text[-300:]}"


def spell(path: KeyPath) -> str:
    """Write a path as a user reads it.

    >>> spell(("tables", "items", "features", 0))
    'tables.items.features[0]'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_spell_key(part)}" for part in path).removeprefix(".")


def _spell_key(key: str) -> str:
    return shorten(key if key.isprintable() and key else repr(key))


def shorten(text: str) -> str:
    """Return a text as it is, or its first 57 characters and "..."."""
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True, slots=True)
class SourceMap:
    """The line on which each key of a configuration is written; empty for one that was built in Python.

    Any two are equal, since a location is no part of what a configuration says.
    """

    locations: Mapping[KeyPath, YamlLocation] = field(default_factory=dict, compare=False)

    def location(self, path: KeyPath) -> YamlLocation | None:
        """Return the location of a path, or of the nearest section around it that is written down."""
        for length in range(len(path), -1, -1):
            if location := self.locations.get(path[:length]):
                return location
        return None

    def where(self, path: KeyPath) -> str:
        """Return "FILE:LINE: features.price", as far as it is known."""
        return ": ".join(str(part) for part in (self.location(path), spell(path)) if part)

    def locate(self, problem: Problem) -> Located:
        """Say where a problem is."""
        key = spell(problem.path)
        return Located(self.location(problem.path), f"{key}: {problem.text}" if key else problem.text)

    def locate_text(self, text: str) -> str:
        """Return "FILE:LINE: text" for a text that begins with a key which is written down, or with one inside it."""
        ends = (":", ".", "[")
        found = [path for path in self.locations if path and text.startswith(tuple(spell(path) + end for end in ends))]
        return f"{self.locations[max(found, key=len)]}: {text}" if found else text

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Put file and line before the message of a `ConfigError` that is raised inside and begins with a key."""
        try:
            yield
        except ConfigError as error:
            error.args = (self.locate_text(str(error)),)
            raise

    def error(self, problems: Iterable[Problem]) -> ConfigError:
        """Return one error with a line for each problem, by file and line."""
        return config_error(map(self.locate, problems))

    def aliased(self, names: Mapping[str, str]) -> "SourceMap":
        """Return a source in which feature NEW is written where feature OLD is, for each NEW: OLD of `names`."""
        by_feature: dict[str | int, dict[KeyPath, YamlLocation]] = {}
        for path, location in self.locations.items():
            if len(path) > 1 and path[0] == "features":
                by_feature.setdefault(path[1], {})[path[2:]] = location
        copies = {
            ("features", new, *rest): location
            for new, old in names.items()
            for rest, location in by_feature.get(old, {}).items()
        }
        return SourceMap({**self.locations, **copies})
