"""The places of keys and values in a YAML text, by which the text is edited without being written anew."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml import events as yaml_events

from recsys.config.names import join_pairs

__all__ = ["MERGE", "Item", "Span", "read_spans"]

MERGE = "<<"
"""The key whose value lends its keys to the mapping around it."""
_COLON = re.compile(r"\s*:")
_DASH = "-"


@dataclass(eq=False, slots=True)
class Span:
    """A value: the part of the text from `start` to `end`, without what follows it on its line."""

    kind: Literal["mapping", "list", "scalar", "alias"]
    start: int
    end: int
    is_flow: bool = False
    """Whether it is written in brackets."""
    items: "list[Item]" = field(default_factory=list)
    target: "Span | None" = None
    """The value that an alias stands for."""

    def inside(self) -> "Iterator[Span]":
        """Yield this value and all that it holds."""
        yield self
        for item in self.items:
            yield from item.value.inside()


@dataclass(eq=False, slots=True)
class Item:
    """A key and its value, or an entry of a list."""

    key: str
    """Nothing for an entry of a list."""
    start: int
    """Start of the key, or of an entry's dash."""
    value_start: int
    """End of the colon or of the dash; of the key where it has no colon."""
    has_colon: bool
    is_flow: bool
    """Whether it stands in brackets."""
    value: Span

    @property
    def end(self) -> int:
        """Return the end of the value, or of the colon where there is none."""
        return max(self.value.end, self.value_start)


def read_spans(text: str) -> Span:
    """Return the places of a text that is known to be YAML with a mapping at its root."""
    events = iter(YAML(typ="safe", pure=True).parse(text))
    return _Reader(text, events).read(next(event for event in events if _is_value(event)))


def _is_value(event: Any) -> bool:
    return isinstance(event, yaml_events.NodeEvent)


class _Reader:
    """Walks the events of one text."""

    def __init__(self, text: str, events: Iterator[Any]) -> None:
        self.text = text
        self.events = events
        self.anchors: dict[str, Span] = {}

    def read(self, event: Any, after: int = 0) -> Span:
        """Return the value that begins with an event; one that is empty lies at `after`."""
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, yaml_events.AliasEvent):
            return Span("alias", start, end, target=self.anchors[event.anchor])
        if isinstance(event, yaml_events.ScalarEvent):
            end = start + len(self.text[start:end].rstrip())
            span = Span("scalar", *((start, end) if start < end else (after, after)))
        elif isinstance(event, yaml_events.MappingStartEvent):
            span = Span("mapping", start, end, bool(event.flow_style))
        else:
            span = Span("list", start, end, bool(event.flow_style))
        if event.anchor is not None:
            self.anchors[event.anchor] = span
        if span.kind != "scalar":
            self._fill(span)
        return span

    def _fill(self, span: Span) -> None:
        while _is_value(event := next(self.events)):
            read = self._pair if span.kind == "mapping" else self._entry
            span.items.append(read(event, span.is_flow))
        span.end = event.end_mark.index if span.is_flow else max(item.end for item in span.items)

    def _pair(self, event: Any, is_flow: bool) -> Item:
        key = self.read(event)
        colon = _COLON.match(self.text, key.end)
        value_start = colon.end() if colon else key.end
        name = join_pairs(getattr(event, "value", ""))
        value = self.read(next(self.events), value_start)
        return Item(name, key.start, value_start, colon is not None, is_flow, value)

    def _entry(self, event: Any, is_flow: bool) -> Item:
        at = event.start_mark.index
        start = at if is_flow else self.text.rindex(_DASH, 0, at)
        value_start = at if is_flow else start + len(_DASH)
        return Item("", start, value_start, False, is_flow, self.read(event, value_start))
