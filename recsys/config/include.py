"""A YAML file and those that it includes, merged into one tree."""

import os.path
from pathlib import Path

from recsys.config.document import Document, Node, read_yaml
from recsys.config.problems import Located, YamlLocation

__all__ = ["merge", "read_document"]

CHOICES = ("type", "scheme", "tower", "by")
"""A section that states another value of such a key replaces the included one, whose other keys are not for it."""


def read_document(path: Path) -> Document:
    """Read a file and, under it, what it includes."""
    return _read(path, YamlLocation(str(path), 0), ())


def _read(path: Path, location: YamlLocation, parents: tuple[Path, ...]) -> Document:
    """Read a file that is included at `location` by the last of `parents`."""
    if path.resolve() in parents:
        return Document(None, [Located(location, f"include: {_name(path)} includes itself")])
    own = read_yaml(path, _name(path))
    if own.root is None:
        return Document(None, [_included(problem, location) if parents else problem for problem in own.problems])
    assert isinstance(own.root.value, dict)
    problems = list(own.problems)
    root = Node({key: child for key, child in own.root.value.items() if key != "include"}, own.root.location)
    included: Node | None = None
    complete = True
    for entry in _includes(own.root.value.get("include"), problems):
        part = _read(path.parent / str(entry.value), entry.location, (*parents, path.resolve()))
        problems += part.problems
        if part.root is None:
            complete = False
        else:
            included = merge(included, part.root) if included else part.root
    merged = merge(included, root) if included else root
    return Document(merged if complete else None, problems)


def _includes(node: Node | None, problems: list[Located]) -> list[Node]:
    entries = [] if node is None else node.value if isinstance(node.value, list) else [node]
    wrong = [entry for entry in entries if not isinstance(entry.value, str)]
    problems += [Located(entry.location, "include: must be a path or a list of paths") for entry in wrong]
    return [entry for entry in entries if isinstance(entry.value, str)]


def _included(problem: Located, location: YamlLocation) -> Located:
    """Report a problem with a whole file where the file is included."""
    is_whole = problem.location is not None and not problem.location.line
    return Located(location, f"include: {problem.location}: {problem.text}") if is_whole else problem


def _name(path: Path) -> str:
    return os.path.normpath(path)


def merge(under: Node, over: Node) -> Node:
    """Lay one tree over another: mappings are merged key by key, everything else is replaced."""
    if not (isinstance(under.value, dict) and isinstance(over.value, dict)) or _chooses_another(under, over):
        return over
    merged = dict(under.value)
    for key, child in over.value.items():
        merged[key] = merge(merged[key], child) if key in merged else child
    return Node(merged, over.location)


def _chooses_another(under: Node, over: Node) -> bool:
    assert isinstance(under.value, dict)
    assert isinstance(over.value, dict)
    return any(
        isinstance(old := under.value[key].value, str) and isinstance(new := over.value[key].value, str) and old != new
        for key in CHOICES
        if key in under.value and key in over.value
    )
