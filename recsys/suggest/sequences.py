"""Find the lists that are histories of another column, and the histories that belong together."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from recsys.suggest.rules import Suggestion

__all__ = ["as_sequences"]

_HISTORY_WORD = (
    r"hist|history|histories|clicked|click|viewed|view|bought|purchased|last|past|recent|prev|previous|seen|played"
    r"|watched|list|seq|sequence|behaviou?r"
)
_HISTORY = re.compile(rf"(^|_)({_HISTORY_WORD})(?=_|$)")


def as_sequences(suggestions: Sequence[Suggestion]) -> list[Suggestion]:
    """Turn lists into sequences of the `id` feature whose name and type they share.

    `hist_item_ids` and `clicked_items` are histories of `item_id`. Histories with rows of equal lengths are one
    behaviour, to which histories of nothing in the data, such as `hist_ratings`, add what else is known of its entries.
    """
    targets = [one for one in suggestions if one.section.can_be_referenced and not one.left_out]
    found = [_as_sequence(one, targets) if one.spec.get("type") == "ids" else one for one in suggestions]
    return _aligned(found)


def _as_sequence(one: Suggestion, targets: Iterable[Suggestion]) -> Suggestion:
    base = _base(one.name)
    kind = one.column.entry_kind
    target = next((other for other in targets if _base(other.name) == base and other.column.entry_kind == kind), None)
    if target is None:
        if _HISTORY.search(one.name):
            return replace(one, note="perhaps a sequence, of a feature whose values it holds")
        return one
    spec: dict[str, object] = {"type": "sequence", "of": target.name}
    spec |= {key: value for key, value in one.spec.items() if key in ("separator", "column")}
    if one.column.is_list:
        spec["max_len"] = one.column.list_length
    return replace(one, spec=spec, note=f"a history of {target.name}, by name and type")


def _aligned(suggestions: Sequence[Suggestion]) -> list[Suggestion]:
    """Name one behaviour for sequences of different features, and lists named as histories, with the same lengths."""
    by_length: dict[tuple[float | None, int | None], list[Suggestion]] = {}
    for one in suggestions:
        is_history = one.section.kind == "sequence" or (one.spec.get("type") == "ids" and _HISTORY.search(one.name))
        if is_history and one.column.is_list and not one.left_out:
            by_length.setdefault((one.column.mean_length, one.column.p95_length), []).append(one)
    behaviour_of: dict[str, Suggestion] = {}
    for together in by_length.values():
        targets = [one.spec["of"] for one in together if "of" in one.spec]
        if targets and len(together) > 1 and len(set(targets)) == len(targets):
            first = next(one for one in together if "of" in one.spec)
            behaviour_of |= {one.name: first for one in together}
    return [_with_behaviour(one, behaviour_of[one.name]) if one.name in behaviour_of else one for one in suggestions]


def _with_behaviour(one: Suggestion, first: Suggestion) -> Suggestion:
    spec = {**one.spec, "behaviour": first.name}
    if one is first:
        return replace(one, spec=spec)
    if one.section.kind == "sequence":
        return replace(one, spec=spec, note=f"{one.note}; as long as {first.name}")
    note = f"a history as long as {first.name}, of values that no other column has"
    return replace(one, spec=spec | {"type": "sequence"}, note=note)


def _base(name: str) -> str:
    """Return what a name is about.

    >>> [_base(name) for name in ("hist_item_ids", "clicked_items", "item_id", "itemId", "categories", "cate_seq")]
    ['item', 'item', 'item', 'item', 'category', 'cate']
    """
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    words = [word for word in snake.split("_") if word and not re.fullmatch(_HISTORY_WORD, word)]
    words = [_singular(word) for word in words if word not in ("id", "ids")]
    return "_".join(words)


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
