"""Change keys of a configuration by their paths."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from recsys.config.dump import plain
from recsys.config.edit import REMOVED
from recsys.config.problems import KeyPath, Problem
from recsys.config.run import Config
from recsys.config.validate import validate

__all__ = ["given_values", "parse_key", "with_changes", "with_values"]

_INDEX = re.compile(r"\[(\d+)\]")


def with_changes(config: Config, changes: Mapping[KeyPath, Any]) -> Config:
    r"""Return a configuration as if its file had other values, and check it.

    Args:
        config: the configuration; it keeps its source.
        changes: new values by the paths of their keys, or `REMOVED`; sections on the way are made where there are none.

    Raises:
        ConfigError: the changed configuration is not valid.

    >>> from recsys.config.load import parse_text
    >>> config = parse_text("label: y\nfeatures: {a: {type: id}}")
    >>> with_changes(config, {("train", "dense_optimizer", "lr"): 0.01}).train.dense_optimizer.lr
    0.01
    """
    changed, problems = with_values(config, changes)
    if changed is None or problems:
        raise config.source.error(problems)
    return changed


def with_values(config: Config, changes: Mapping[KeyPath, Any]) -> tuple[Config | None, list[Problem]]:
    """Return a changed configuration, None if a type is wrong, and what is wrong with it."""
    values = given_values(config)
    for path, value in changes.items():
        values = _with_value(values, path, value)
    changed, problems = validate(values)
    return None if changed is None else changed.from_source(config.source), problems


def given_values(config: Config) -> dict[str, Any]:
    """Return the plain values that a configuration's file gives, without defaults; sequences are tuples."""
    values: dict[str, Any] = _given(config)
    return values


def _given(value: Any) -> Any:
    if isinstance(value, BaseModel):
        given = {name: getattr(value, name) for name in type(value).model_fields if name in value.model_fields_set}
        return {key: _given(child) for key, child in {**given, **(value.model_extra or {})}.items()}
    if isinstance(value, dict):
        return {key: _given(child) for key, child in value.items()}
    return tuple(map(_given, value)) if isinstance(value, tuple | list) else value


def _with_value(container: Any, path: KeyPath, value: Any) -> Any:
    """Return a copy of nested mappings and tuples in which one value is another; a section that is null is made."""
    if not path:
        return _given(value)
    key, *rest = path
    if value is REMOVED and not rest and isinstance(container, Mapping):
        return {name: child for name, child in container.items() if name != key}
    if isinstance(key, int):
        items = list(container) if isinstance(container, tuple) else []
        if key >= len(items):
            return container
        items[key] = _with_value(items[key], tuple(rest), value)
        return tuple(items)
    section = container if isinstance(container, Mapping) else {}
    return {**section, key: _with_value(section.get(key), tuple(rest), value)}


def parse_key(text: str, config: Config) -> KeyPath:
    """Return the path of a key that is written as in messages: `train.dense_optimizer.lr`, `model.mlp[0]`.

    A name with dots in it is found where the configuration has it.
    """
    here: Any = plain(config)
    path: list[str | int] = []
    while text:
        if index := _INDEX.match(text):
            entry = int(index[1])
            path.append(entry)
            here = here[entry] if isinstance(here, list | tuple) and entry < len(here) else None
            text = text[index.end() :].removeprefix(".")
            continue
        known = [key for key in here if _begins(text, key)] if isinstance(here, Mapping) else []
        key = max(known, key=len, default=re.split(r"\.|\[\d+\]", text, maxsplit=1)[0] or text)
        path.append(key)
        here = here.get(key) if isinstance(here, Mapping) else None
        text = text[len(key) :].removeprefix(".")
    return tuple(path)


def _begins(text: str, key: str) -> bool:
    """Say whether a path begins with a key."""
    return text.startswith(key) and (len(text) == len(key) or text[len(key)] in ".[")
