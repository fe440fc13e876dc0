"""Change keys of a YAML text, and leave everything else of it as it is written: comments, order, quotes, blank lines.

The text is edited at the places of the keys. ruamel.yaml can also write what it has read, with the comments; but it
indents, folds and quotes by rules of its own, so that lines would differ which nobody has changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from recsys.config.document import parse_yaml
from recsys.config.problems import KeyPath, config_error, spell
from recsys.config.spans import MERGE, Item, Span, read_spans
from recsys.config.yaml_text import block_text, flow_text
from recsys.errors import ConfigError

__all__ = ["REMOVED", "Removed", "edit_yaml"]


class Removed(Enum):
    """Stands for a key that is to go."""

    REMOVED = "removed"


REMOVED: Final = Removed.REMOVED


def edit_yaml(text: str, changes: Mapping[KeyPath, Any], *, name: str = "<text>", note: str = "") -> str:
    r"""Return a text with other values of some keys.

    What an alias stands for is written out where the alias or its anchor is changed, so that nothing else changes with
    them. A key that a mapping has by `<<` is overridden.

    Args:
        text: YAML 1.2 with a mapping at its root.
        changes: path -> value of mappings, sequences and scalars, or `REMOVED`. Sections that are not there are added.
            A mapping takes the place of the former: keys that it lacks are removed.
        name: name of the text in messages.
        note: comment at the end of each changed line that has none; none by default.

    Raises:
        ConfigError: the text is no YAML, or the change cannot be made without writing other parts of it anew.

    >>> edit_yaml("tables:\n  item: {dim: 16}  # wide\n", {("tables", "item", "dim"): 8})
    'tables:\n  item: {dim: 8}  # wide\n'
    """
    before = _parsed(text, name)
    tree: Any = {}
    for path, value in changes.items():
        _plant(tree, path, value)
    wanted = _changed(before, tree)
    if _same(before, wanted):
        return text
    after = _Editor(text).edited(before, tree, note)
    if after is None or not _holds(after, wanted):
        keys = ", ".join(spell(path) for path in changes)
        raise ConfigError(f"{name}: {keys} cannot be changed in place; write the file without anchors and `? ` keys")
    return after


class _Change(NamedTuple):
    """A value that takes the place of the former one. Trees of changes are dicts, with these as leaves."""

    value: Any


def _parsed(text: str, name: str) -> Any:
    document = parse_yaml(text, name)
    if document.root is None or document.problems:
        raise config_error(document.problems)
    return document.root.plain()


def _holds(text: str, wanted: Any) -> bool:
    document = parse_yaml(text, "")
    return document.root is not None and not document.problems and _same(document.root.plain(), wanted)


def _plant(tree: dict[Any, Any], path: KeyPath, value: Any) -> None:
    """Put a change into the tree of changes."""
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
        assert isinstance(tree, dict), f"{spell(path)} is inside of another change"
    assert path[-1] not in tree, f"{spell(path)} is changed twice"
    tree[path[-1]] = _Change(_plain(value))


def _plain(value: Any) -> Any:
    """Return a value as the parser of YAML would: lists are tuples."""
    if isinstance(value, Mapping):
        return {key: _plain(child) for key, child in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _changed(value: Any, tree: Any) -> Any:
    """Return a value to which a tree of changes was applied."""
    if isinstance(tree, _Change):
        return tree.value
    if isinstance(value, tuple):
        entries = dict(enumerate(value))
        entries |= {index: _changed(entries.get(index), child) for index, child in tree.items()}
        return tuple(entries[index] for index in sorted(entries) if entries[index] is not REMOVED)
    known = value if isinstance(value, dict) else {}
    found = {**known, **{key: _changed(known.get(key), child) for key, child in tree.items()}}
    return {key: child for key, child in found.items() if child is not REMOVED}


def _same(first: Any, second: Any) -> bool:
    """Say whether two values are equal and of the same types."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    return type(first) is type(second) and bool(first == second)


class _Edit(NamedTuple):
    """Other text for a part of the text."""

    start: int
    end: int
    text: str


class _Editor:
    """The edits of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.root = read_spans(text)
        self.edits: list[_Edit] = []
        self.gone: set[int] = set()
        """Values whose text goes, by id."""
        self.touched: set[int] = set()
        """Values in which something changes, by id."""

    def edited(self, value: Any, tree: dict[Any, Any], note: str) -> str | None:
        """Return the text with all changes made; None if nothing of it would be left."""
        if not _is_left(self.root, value, tree):
            return None
        self._edit(self.root, value, tree)
        self._write_out_aliases(value)
        return _applied(self.text, sorted(self.edits, key=lambda edit: edit.start), note)

    def _edit(self, span: Span, value: Any, tree: dict[Any, Any]) -> None:
        """Change what is inside a mapping or a list."""
        num_edits = len(self.edits)
        items = dict(zip(_keys(span), span.items, strict=True))
        wanted = {key: _changed(_child(value, key), change) for key, change in tree.items()}
        for key in [key for key in items if key in wanted and wanted[key] is not REMOVED]:
            self._edit_item(items[key], key, _child(value, key), tree[key], wanted[key])
        self._remove(span, {index for index, key in enumerate(items) if wanted.get(key) is REMOVED})
        self._add(span, {key: new for key, new in wanted.items() if key not in items and new is not REMOVED})
        if len(self.edits) > num_edits:
            self.touched.add(id(span))

    def _edit_item(self, item: Item, key: str | int, value: Any, tree: Any, wanted: Any) -> None:
        """Give a key another value, and keep of the former what both have."""
        if _same(value, wanted):
            return
        inside = _difference(value, wanted) if isinstance(tree, _Change) else tree
        if inside is not None and _is_left(item.value, value, inside):
            self._edit(item.value, value, inside)
        else:
            self._replace(item, key, wanted)

    def _replace(self, item: Item, key: str | int, wanted: Any) -> None:
        span, text = item.value, flow_text(wanted)
        self.gone |= {id(one) for one in span.inside()}
        if isinstance(key, int):
            is_bare = span.start == item.value_start and not item.is_flow  # a dash, and nothing after it
            self.edits.append(_Edit(span.start, span.end, f" {text}" if is_bare else text))
        elif "#" in self.text[item.value_start : span.start]:
            before = span.start if item.is_flow else self._line_end(self._line_start(span.start) - 1)
            self.edits += [_Edit(item.value_start, item.value_start, f" {text}"), _Edit(before, span.end, "")]
        elif self._has_lines_of_its_own(item):
            lines = block_text(key, wanted, self._column(item.start), self.newline)
            self.edits.append(_Edit(item.value_start, span.end, lines.removeprefix(f"{flow_text(key)}:")))
        else:
            self.edits.append(_Edit(item.value_start, span.end, f" {text}" if item.has_colon else f": {text}"))

    def _remove(self, span: Span, removed: set[int]) -> None:
        for index in sorted(removed):
            item = span.items[index]
            self.gone |= {id(one) for one in item.value.inside()}
            if not span.is_flow and self._begins_line(item):
                start, end = self._line_start(item.start), self._line_end(item.end)
                whole = (self._line_end(start - 1), end) if start else (0, self.text.find("\n", end) + 1)
                self.edits.append(_Edit(*whole, ""))
            elif span.is_flow and any(before not in removed for before in range(index)):
                self.edits.append(_Edit(span.items[index - 1].end, item.end, ""))
            else:
                self.edits.append(_Edit(item.start, span.items[index + 1].start, ""))

    def _add(self, span: Span, added: Mapping[Any, Any]) -> None:
        if span.is_flow:
            at = span.items[-1].end
            self.edits += [_Edit(at, at, f", {_flow_item(key, value)}") for key, value in added.items()]
            return
        at, indent = self._line_end(span.items[-1].end), self._column(span.items[0].start)
        for key, value in added.items():
            is_key = isinstance(key, str)
            line = block_text(key, value, indent, self.newline) if is_key else f"- {flow_text(value)}"
            self.edits.append(_Edit(at, at, f"{self.newline}{' ' * indent}{line}"))

    def _write_out_aliases(self, before: Any) -> None:
        """Write the former value in place of each alias whose anchor has another now."""
        values = dict(_values(self.root, before))
        for span in self.root.inside():
            target = id(span.target)
            if target in values and target in self.touched | self.gone and id(span) not in self.gone:
                self.edits.append(_Edit(span.start, span.end, flow_text(values[target])))

    def _line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        return end - (self.text[end - 1 : end] == "\r")

    def _column(self, at: int) -> int:
        return at - self._line_start(at)

    def _begins_line(self, item: Item) -> bool:
        return not self.text[self._line_start(item.start) : item.start].strip()

    def _has_lines_of_its_own(self, item: Item) -> bool:
        rest = self.text[item.end : self._line_end(item.end)].strip()
        return not item.is_flow and self._begins_line(item) and (not rest or rest.startswith("#"))


def _keys(span: Span) -> list[str | int]:
    return [item.key if span.kind == "mapping" else index for index, item in enumerate(span.items)]


def _child(value: Any, key: Any) -> Any:
    if isinstance(value, tuple):
        return value[key] if key < len(value) else None
    return value.get(key)


def _values(span: Span, value: Any) -> Iterator[tuple[int, Any]]:
    """Yield the values that are written in a text by the ids of their places, but those that lend keys by `<<`."""
    yield id(span), value
    for key, item in zip(_keys(span), span.items, strict=True):
        if key != MERGE:
            yield from _values(item.value, value[key])


def _is_left(span: Span, value: Any, tree: dict[Any, Any]) -> bool:
    """Say whether an entry of a mapping or a list outlives the changes, and no key is to go that it has by `<<`."""
    gone = {key for key, change in tree.items() if isinstance(change, _Change) and change.value is REMOVED}
    own = _keys(span)
    return any(key not in gone for key in own) and all(key in own or _child(value, key) is None for key in gone)


def _flow_item(key: str | int, value: Any) -> str:
    return flow_text({key: value})[1:-1] if isinstance(key, str) else flow_text(value)


def _difference(before: Any, after: Any) -> dict[Any, Any] | None:
    """Return the tree of changes from one value to another; None if nothing of the first can be kept."""
    if isinstance(before, dict) and isinstance(after, dict):
        changed = {key: _Change(value) for key, value in after.items()}
        return changed | {key: _Change(REMOVED) for key in before if key not in after}
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        return None
    left = list(after)
    tree: dict[Any, Any] = {}
    for index, entry in enumerate(before):
        if left and _same(entry, left[0]):
            left.pop(0)
        else:
            tree[index] = _Change(REMOVED)
    return tree | {len(before) + index: _Change(entry) for index, entry in enumerate(left)}


def _applied(text: str, edits: Sequence[_Edit], note: str) -> str:
    """Return the text with all edits made, from the last to the first."""
    for edit in reversed(edits):
        after = text[edit.end :]
        if note and edit.text and not after.partition("\n")[0].strip():
            after = f"  # {note}{after.lstrip(' ')}"
        text = text[: edit.start] + edit.text + after
    return text
