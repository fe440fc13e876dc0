"""Parse YAML text into nodes, within bounds, so that a hostile text costs no more than a long one."""

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from recsys.config.problems import Located, YamlLocation

__all__ = ["MAX_VALUES", "NotYamlError", "Yaml", "compose"]

Yaml = Any
"""A node of ruamel.yaml, which has no types."""

MAX_DEPTH = 64
"""Mappings and lists inside one another; the keys of this package reach six."""
MAX_VALUES = 100_000
"""Keys and values of a configuration, those of an alias as often as it is used: 12,000 features have as many."""

_REMEDIES = {
    "'<document start>'": "is the indentation right?",
    "expected <block end>": "is the indentation right?",
    "mapping values are not allowed": "is the indentation right? Text with ': ' in it needs quotes",
    "found character '\\t'": "indent with spaces, not with tabs",
    "cannot start any token": "put text that begins with it in quotes",
    "chr() arg": "\\U takes eight digits, of 0010FFFF at most",
    "undefined alias": "a name or glob that begins with * needs quotes",
    "could not find expected ':'": "a ':' is missing, or quotes around a name or glob that begins with *",
}
"""Part of a message of ruamel.yaml -> what to do about it."""


class NotYamlError(Exception):
    """A text cannot be parsed; carries the problem."""

    def __init__(self, problem: Located) -> None:
        super().__init__(problem.text)
        self.problem = problem


def compose(text: str, name: str) -> tuple[YAML, Yaml | None]:
    """Return the parser of a text and the text's root node, None if it is empty.

    Args:
        text: YAML 1.2.
        name: that problems give as the file's.

    Raises:
        NotYamlError: where the text is no YAML, or goes beyond the bounds above.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    try:
        return yaml, yaml.compose(text)
    except MarkedYAMLError as error:
        problem = _syntax(error, name)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = _located(name, line, f"is not YAML: the character {chr(error.character)!r} is not allowed")
    except Exception as error:  # what the parser stumbles over before the first node
        problem = _located(name, 1, f"is not YAML: {error}")
    raise NotYamlError(problem)


class _BoundedComposer(Composer):
    """Gives up at texts that are too deep or too long."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # YAML allows an anchor's name to be used again
        self.num_nodes = 0

    def compose_node(self, parent: Yaml, index: Any) -> Yaml:
        """Compose a node and those inside it."""
        try:
            return self._bounded(parent, index)
        except YAMLError:
            raise
        except Exception as error:  # what the parser stumbles over, such as \\U00110000, which is no character
            raise ComposerError(None, None, str(error), self.loader.reader.get_mark()) from error

    def _bounded(self, parent: Yaml, index: Any) -> Yaml:
        self.num_nodes += 1
        mark = self.parser.peek_event().start_mark
        if self.depth >= MAX_DEPTH:
            raise ComposerError(None, None, f"mappings and lists are nested more than {MAX_DEPTH} deep", mark)
        if self.num_nodes > MAX_VALUES:
            raise ComposerError(None, None, f"more than {MAX_VALUES:,} keys and values", mark)
        return super().compose_node(parent, index)


def _syntax(error: MarkedYAMLError, name: str) -> Located:
    mark, start = error.problem_mark, error.context_mark
    context = f"{error.context} from line {start.line + 1}: " if start else ""
    problem = re.sub(r"\('(.*)',\)", r"'\1'", str(error.problem))  # ruamel.yaml prints some tokens as tuples
    remedy = next((f"; {remedy}" for part, remedy in _REMEDIES.items() if part in problem), "")
    return _located(name, mark.line + 1 if mark else 0, f"is not YAML: {context}{problem}{remedy}")


def _located(name: str, line: int, text: str) -> Located:
    return Located(YamlLocation(name, line), text)
