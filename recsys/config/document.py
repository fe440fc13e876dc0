"""Read a YAML file as a tree of values, each of which knows its line."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from recsys.config.problems import KeyPath, Located, YamlLocation

__all__ = ["Document", "Node", "parse_yaml", "read_yaml"]

Yaml = Any
"""A node of ruamel.yaml, which has no types."""

_REMEDIES = {
    "'<document start>'": "is the indentation right?",
    "expected <block end>": "is the indentation right?",
    "mapping values are not allowed": "is the indentation right? Text with ': ' in it needs quotes",
    "found character '\\t'": "indent with spaces, not with tabs",
    "cannot start any token": "put text that begins with it in quotes",
    "undefined alias": "a name or glob that begins with * needs quotes",
    "could not find expected ':'": "a ':' is missing, or quotes around a name or glob that begins with *",
}
"""Part of a message of ruamel.yaml -> what to do about it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the line of its key (or, in a list, its own)."""

    value: "dict[str, Node] | list[Node] | str | int | float | bool | None"
    location: YamlLocation

    def plain(self) -> Any:
        """Return the value without locations; lists are tuples."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return tuple(child.plain() for child in self.value)
        return self.value

    def locations(self, path: KeyPath = ()) -> dict[KeyPath, YamlLocation]:
        """Return the location of each path."""
        found = {path: self.location}
        children = self.value if isinstance(self.value, list | dict) else {}
        for key, child in enumerate(children) if isinstance(children, list) else children.items():
            found |= child.locations((*path, key))
        return found


@dataclass(frozen=True, slots=True)
class Document:
    """The tree of one file; `root` is None if it cannot be read."""

    root: Node | None
    problems: list[Located]
    """Problems of the file as such, before its keys have a meaning."""


def read_yaml(path: Path, name: str) -> Document:
    """Read a file, which problems call `name`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return Document(None, [Located(YamlLocation(name, 0), "no such file")])
    except IsADirectoryError:
        return Document(None, [Located(YamlLocation(name, 0), "is a folder, not a file")])
    except UnicodeDecodeError as error:
        return Document(None, [Located(YamlLocation(name, 0), f"is not UTF-8 text (byte {error.start})")])
    except OSError as error:
        return Document(None, [Located(YamlLocation(name, 0), f"cannot be read: {error.strerror}")])
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> Document:
    r"""Turn YAML 1.2 text into a tree.

    >>> parse_yaml("lr: 1e-3\ncountry: NO", "a.yaml").root.plain()
    {'lr': 0.001, 'country': 'NO'}
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        top = yaml.compose(text)
    except MarkedYAMLError as error:
        return Document(None, [_syntax(error, name)])
    except YAMLError as error:
        return Document(None, [Located(YamlLocation(name, 0), f"is not YAML: {str(error).splitlines()[0]}")])
    if top is None:
        return Document(None, [Located(YamlLocation(name, 0), "is empty")])
    reader = _Reader(yaml, name)
    root = reader.read(top, YamlLocation(name, 1), ())
    if not isinstance(root.value, dict):
        return Document(None, [Located(YamlLocation(name, 1), "must be a mapping of keys to values")])
    return Document(root, reader.problems)


def _syntax(error: MarkedYAMLError, name: str) -> Located:
    mark, start = error.problem_mark, error.context_mark
    context = f"{error.context} from line {start.line + 1}: " if start else ""
    problem = re.sub(r"\('(.*)',\)", r"'\1'", str(error.problem))  # ruamel.yaml prints some tokens as tuples
    remedy = next((f"; {remedy}" for part, remedy in _REMEDIES.items() if part in problem), "")
    return Located(YamlLocation(name, mark.line + 1 if mark else 0), f"is not YAML: {context}{problem}{remedy}")


class _Reader:
    """Walks the nodes of one file."""

    def __init__(self, yaml: YAML, name: str) -> None:
        self.yaml = yaml
        self.name = name
        self.problems: list[Located] = []

    def read(self, node: Yaml, location: YamlLocation, parents: tuple[Yaml, ...]) -> Node:
        if node in parents:
            self._problem(node, "an anchor must not contain itself")
            return Node(None, location)
        if isinstance(node, MappingNode):
            return Node(self._mapping(node, (*parents, node)), location)
        if isinstance(node, SequenceNode):
            return Node([self.read(item, self._location(item), (*parents, node)) for item in node.value], location)
        return Node(self._scalar(node), location)

    def _mapping(self, node: Yaml, parents: tuple[Yaml, ...]) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._problem(key, "a key must be plain text")
                continue
            child = self.read(value, self._location(key), parents)
            if str(key.tag).endswith(":merge"):  # <<: *anchor
                for source in child.value if isinstance(child.value, list) else [child]:
                    merged = {**(source.value if isinstance(source.value, dict) else {}), **merged}
            elif key.value in own:
                self._problem(key, f"repeated key {key.value!r}, first on line {own[key.value].location.line}")
            else:
                own[key.value] = child
        return {**merged, **own}

    def _scalar(self, node: Yaml) -> Any:
        tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if tag in ("null", "bool", "int", "float"):
            return self.yaml.constructor.construct_object(node)
        if tag not in ("str", "timestamp"):
            self._problem(node, f"tags such as {node.tag} are not understood")
        return node.value  # a date stays text

    def _location(self, node: Yaml) -> YamlLocation:
        return YamlLocation(self.name, node.start_mark.line + 1)

    def _problem(self, node: Yaml, text: str) -> None:
        self.problems.append(Located(self._location(node), text))
