"""A YAML file and those that it includes, merged into one tree."""

import os.path
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recsys.config.compose import MAX_VALUES
from recsys.config.document import Document, Node, parse_yaml, read_yaml
from recsys.config.problems import UNREADABLE, Located, YamlLocation

__all__ = ["merge", "parse_document", "read_document"]

CHOICES = ("type", "scheme", "tower", "by")
"""A section that states another value of such a key replaces the included one, whose other keys are not for it."""
NAMED = ("lr_schedule",)
"""Sections in which `name` is such a key."""
MAX_DEPTH = 50
"""Files that include one another in a row."""


def read_document(path: Path) -> Document:
    """Read a file and, under it, what it includes; each file once, however often it is included."""
    return _Includes().read(path, YamlLocation(str(path), 0), ())


def parse_document(text: str, path: Path) -> Document:
    """Return what `read_document` would, if a file held a text."""
    return _Includes().parse(text, path)


class _Includes:
    """The files read so far."""

    def __init__(self) -> None:
        self.merged: dict[Path, Document] = {}
        self.num_values = 0

    def read(self, path: Path, location: YamlLocation, parents: tuple[Path, ...]) -> Document:
        """Read a file that is included at `location` by the last of `parents`."""
        resolved = Path(os.path.realpath(path))
        if resolved in parents:
            return _unread(location, f"{_name(path)} includes itself")
        if len(parents) > MAX_DEPTH:
            return _unread(location, f"files include one another more than {MAX_DEPTH} deep")
        if resolved in self.merged:
            again = self.merged[resolved]
            whole = [problem for problem in again.problems if _is_whole(problem)]
            document = Document(again.root, whole, again.num_values)
        else:
            document = read_yaml(path, _name(path))
        self.num_values += document.num_values
        if self.num_values > MAX_VALUES:
            return _unread(location, f"the files have more than {MAX_VALUES:,} keys and values together")
        if resolved not in self.merged:
            self.merged[resolved] = document = self._merge(document, path, (*parents, resolved))
        return replace(document, problems=[_included(p, location) if parents else p for p in document.problems])

    def parse(self, text: str, path: Path) -> Document:
        """Read a text as a file's, and what it includes."""
        return self._merge(parse_yaml(text, _name(path)), path, (Path(os.path.realpath(path)),))

    def _merge(self, own: Document, path: Path, parents: tuple[Path, ...]) -> Document:
        """Lay a file over those that it includes."""
        if own.root is None:
            return own
        assert isinstance(own.root.value, dict)
        keys, found = own.root.value, list(own.problems)
        root = Node({key: child for key, child in keys.items() if key != "include"}, own.root.location)
        included: Node | None = None
        complete = True
        for entry in _entries(keys.get("include"), found):
            part = self.read(path.parent / str(entry.value), entry.location, parents)
            found += part.problems
            complete = complete and part.root is not None
            if part.root is not None:
                included = merge(included, part.root) if included else part.root
        merged = merge(included, root) if included else root
        return Document(merged if complete else None, found, len(merged.locations()))


def _entries(node: Node | None, problems: list[Located]) -> list[Node]:
    entries = [] if node is None else node.value if isinstance(node.value, list) else [node]
    paths = [entry for entry in entries if isinstance(entry.value, str) and "\0" not in entry.value]
    wrong = [entry for entry in entries if entry not in paths and entry.value is not UNREADABLE]
    problems += [Located(entry.location, "include: must be a path or a list of paths") for entry in wrong]
    return paths


def _unread(location: YamlLocation, text: str) -> Document:
    return Document(None, [Located(location, f"include: {text}")])


def _included(problem: Located, location: YamlLocation) -> Located:
    """Report a problem with a whole file where the file is included."""
    return Located(location, f"include: {problem.location}: {problem.text}") if _is_whole(problem) else problem


def _is_whole(problem: Located) -> bool:
    return problem.location is not None and not problem.location.line


def _name(path: Path) -> str:
    return os.path.normpath(path)


def merge(under: Node, over: Node, choices: Sequence[str] = CHOICES) -> Node:
    """Lay one tree over another: mappings are merged key by key, everything else is replaced."""
    if not (isinstance(under.value, dict) and isinstance(over.value, dict)) or _chooses_another(under, over, choices):
        return over
    merged = dict(under.value)
    for key, child in over.value.items():
        inside = (*CHOICES, "name") if key in NAMED else CHOICES
        merged[key] = merge(merged[key], child, inside) if key in merged else child
    return Node(merged, over.location)


def _chooses_another(under: Node, over: Node, choices: Sequence[str]) -> bool:
    assert isinstance(under.value, dict)
    assert isinstance(over.value, dict)
    return any(
        isinstance(old := under.value[key].value, str) and isinstance(new := over.value[key].value, str) and old != new
        for key in choices
        if key in under.value and key in over.value
    )
