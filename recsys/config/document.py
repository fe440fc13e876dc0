"""Read a YAML file as a tree of values, each of which knows its line."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode

from recsys.config.compose import MAX_VALUES, NotYamlError, Yaml, compose
from recsys.config.names import join_pairs, text_problem
from recsys.config.problems import TAG_MARK, UNREADABLE, KeyPath, Located, Unreadable, YamlLocation, shorten

__all__ = ["Document", "Node", "parse_yaml", "read_yaml"]

MAX_BYTES = 1_000_000
"""Length of a file: 10,000 features with all of their keys."""
MAX_DIGITS = 1000
"""Length of a number; a thousand digits are more than any key takes, and can still be printed."""
_TAG = "tag:yaml.org,2002:"
_SCALARS = {"null": "null", "bool": "true or false", "int": "an integer", "float": "a number"}
_TEXTS = ("str", "timestamp")  # a date stays text
_NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the line of its key (or, in a list, its own)."""

    value: "dict[str, Node] | list[Node] | str | int | float | bool | Unreadable | None"
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
        return dict(self._located(path))

    def _located(self, path: KeyPath) -> Iterator[tuple[KeyPath, YamlLocation]]:
        yield path, self.location
        children = self.value if isinstance(self.value, list | dict) else {}
        for key, child in enumerate(children) if isinstance(children, list) else children.items():
            yield from child._located((*path, key))


@dataclass(frozen=True, slots=True)
class Document:
    """The tree of one file; `root` is None if it cannot be read."""

    root: Node | None
    problems: list[Located]
    """Problems of the file as such, before its keys have a meaning."""
    num_values: int = 0
    """Keys and values of the tree."""


def read_yaml(path: Path, name: str) -> Document:
    """Read a file, which problems call `name`."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return _unread(name, "is a folder, not a file" if stat.S_ISDIR(mode) else "is no regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return _unread(name, "no such file")
    except OSError as error:
        return _unread(name, f"cannot be read: {error.strerror}")
    except ValueError as error:  # a NUL in the path
        return _unread(name, f"is no path: {error}")
    if len(content) > MAX_BYTES:
        return _too_long(name)
    try:
        return parse_yaml(content.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        form = "UTF-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else f"byte {error.start}"
        return _unread(name, f"is not UTF-8 text ({form}); save it as UTF-8", line)


def parse_yaml(text: str, name: str) -> Document:
    r"""Turn YAML 1.2 text into a tree.

    >>> parse_yaml("lr: 1e-3\ncountry: NO", "a.yaml").root.plain()
    {'lr': 0.001, 'country': 'NO'}
    """
    if len(text) > MAX_BYTES:
        return _too_long(name)
    try:
        yaml, top = compose(text, name)
    except NotYamlError as error:
        return Document(None, [error.problem])
    if top is None:
        return _unread(name, "is empty")
    reader = _Reader(yaml, name)
    root = reader.read(top, YamlLocation(name, 1))
    if root.value is not UNREADABLE and not isinstance(root.value, dict):
        return _unread(name, "must be a mapping of keys to values", 1)
    return Document(root if isinstance(root.value, dict) else None, reader.problems, reader.sizes[id(top)])


def _key_problem(key: str) -> str:
    return f"has {TAG_MARK!r}, which no key has" if TAG_MARK in key else text_problem(key)


def _unread(name: str, text: str, line: int = 0) -> Document:
    return Document(None, [Located(YamlLocation(name, line), text)])


def _too_long(name: str) -> Document:
    return _unread(name, f"must be at most {MAX_BYTES:,} characters long; split it into files that it includes")


class _Reader:
    """Walks the nodes of one file.

    Attributes:
        problems: found so far.
        sizes: keys and values in each node that was read, by id. The node of an anchor is walked once.
    """

    def __init__(self, yaml: YAML, name: str) -> None:
        self.yaml = yaml
        self.name = name
        self.problems: list[Located] = []
        self.sizes: dict[int, int] = {}
        self._values: dict[int, Any] = {}
        self._open: set[int] = set()

    def read(self, node: Yaml, location: YamlLocation) -> Node:
        if id(node) in self._open:
            self._problem(node, "an anchor must not contain itself")
            return Node(UNREADABLE, location)
        if id(node) not in self._values:
            self._open.add(id(node))
            self._values[id(node)] = self._value(node)
            self._open.remove(id(node))
        return Node(self._values[id(node)], location)

    def _value(self, node: Yaml) -> Any:
        if isinstance(node, ScalarNode):
            self.sizes[id(node)] = 1
            return self._scalar(node)
        is_mapping = isinstance(node, MappingNode)
        kind = "map" if is_mapping else "seq"
        if str(node.tag) != _TAG + kind:
            return self._unknown_tag(node)
        value = self._mapping(node) if is_mapping else [self.read(item, self._location(item)) for item in node.value]
        children = [child for pair in node.value for child in pair] if is_mapping else node.value
        size = 1 + sum(self.sizes.get(id(child), 1) for child in children)
        self.sizes[id(node)] = size if size <= MAX_VALUES else 1
        if size <= MAX_VALUES:
            return value
        self._problem(node, f"aliases repeat its values until there are {size:,}; at most {MAX_VALUES:,} are read")
        return UNREADABLE

    def _mapping(self, node: Yaml) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or not str(key.tag).startswith(_TAG):
                self._problem(key, "a key must be plain text")
                continue
            name, child = join_pairs(key.value), self.read(value, self._location(key))
            if str(key.tag).endswith(":merge"):  # <<: *anchor
                for source in child.value if isinstance(child.value, list) else [child]:
                    merged = {**self._merged(source), **merged}
            elif text := _key_problem(name):
                self._problem(key, f"the key {shorten(repr(name))} {text}")
            elif name in own:
                first = own[name].location.line
                self._problem(key, f"repeated key {shorten(repr(name))}, first on line {first}")
            else:
                own[name] = child
        return {**merged, **own}

    def _merged(self, source: Node) -> dict[str, Node]:
        if not isinstance(source.value, dict) and source.value is not UNREADABLE:
            self.problems.append(Located(source.location, "<< takes the keys of a mapping, or of a list of mappings"))
        return source.value if isinstance(source.value, dict) else {}

    def _scalar(self, node: Yaml) -> Any:
        tag = str(node.tag).removeprefix(_TAG)
        if tag in _SCALARS:
            return self._constructed(node, tag)
        if tag not in _TEXTS:
            return self._unknown_tag(node)
        text = join_pairs(node.value)
        if problem := text_problem(text):
            self._problem(node, f"the text {shorten(repr(text))} {problem}")
            return UNREADABLE
        return text

    def _constructed(self, node: Yaml, tag: str) -> Any:
        """Return the value of a null, boolean or number, whose text an explicit tag may have forced into it."""
        try:
            value = self.yaml.constructor.construct_object(node) if len(node.value) < MAX_DIGITS else UNREADABLE
        except Exception:  # whatever the parser stumbles over
            value = UNREADABLE
        if value is UNREADABLE or (value is None and node.value not in _NULLS):
            long = f" of {len(node.value):,} characters" if len(node.value) > 60 else ""
            text = f"{shorten(repr(node.value))}{long} cannot be read as {_SCALARS[tag]}; text needs quotes"
            self._problem(node, text)
            return UNREADABLE
        return value

    def _unknown_tag(self, node: Yaml) -> Unreadable:
        self.sizes[id(node)] = 1
        self._problem(node, f"tags such as {shorten(str(node.tag))} are not understood")
        return UNREADABLE

    def _location(self, node: Yaml) -> YamlLocation:
        return YamlLocation(self.name, node.start_mark.line + 1)

    def _problem(self, node: Yaml, text: str) -> None:
        self.problems.append(Located(self._location(node), text))
