"""Read a YAML file into a checked `Config`, or raise one error that lists all of its problems."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recsys.config.check import check
from recsys.config.document import Document, parse_yaml
from recsys.config.include import read_document
from recsys.config.messages import explain, key_path, show
from recsys.config.problems import TAG_MARK, KeyPath, Problem, SourceMap, config_error
from recsys.config.run import Config

__all__ = ["load_config", "parse_config", "parse_text"]


def load_config(path: Path) -> Config:
    """Read a configuration file and what it includes.

    Raises:
        ConfigError: a line with FILE:LINE, key, rule and value for each problem in any of the files.
    """
    return _checked(read_document(path))


def parse_text(text: str, name: str = "<text>") -> Config:
    """Read a configuration from YAML text, which includes no files.

    Args:
        text: content of the file.
        name: that problems give instead of a file's.

    Raises:
        ConfigError: as `load_config`.
    """
    return _checked(parse_yaml(text, name))


def parse_config(values: Mapping[str, Any]) -> Config:
    """Check the keys and values of a configuration that no file holds; sequences must be tuples.

    Raises:
        ConfigError: a line with key, rule and value for each problem.

    >>> parse_config({"label": "click", "features": {"user": {"type": "id"}}}).labels
    {'label': 'click'}
    """
    if wrong := list(_keys_without_text(values)):
        raise SourceMap().error(wrong)
    config, problems = _validate(values)
    if config is None or problems:
        raise SourceMap().error(problems)
    return config


def _checked(document: Document) -> Config:
    if document.root is None:
        raise config_error(document.problems)
    source = SourceMap(document.root.locations())
    config, problems = _validate(document.root.plain())
    if config is None or problems or document.problems:
        raise config_error([*document.problems, *map(source.locate, problems)])
    return config.from_source(source)


def _validate(values: Mapping[str, Any]) -> tuple[Config | None, list[Problem]]:
    """Check types, then meaning: of all, or else of the sections whose types are right."""
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        problems = explain(errors)
        broken = {_section(key_path(found["loc"])) for found in errors}
        sound = _without(values, broken)
        return None, problems + (check(Config.model_validate(sound), broken=broken) if sound else [])
    return config, check(config)


def _keys_without_text(value: Any, path: KeyPath = ()) -> Iterator[Problem]:
    """Yield the keys of a mapping of Python that no YAML file could have."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, tuple) else ()
    for key, child in items:
        if isinstance(value, Mapping) and not isinstance(key, str):
            yield Problem(path, f"a key must be text, got {show(key)}")
        elif isinstance(key, str) and TAG_MARK in key:
            yield Problem(path, f"a key must not have {TAG_MARK!r}, got {show(key)}")
        else:
            yield from _keys_without_text(child, (*path, key))


def _section(path: KeyPath) -> KeyPath:
    """Return the part of the file that a problem makes unusable: one feature, one table, or a whole section."""
    return path[:2] if path[:1] in (("features",), ("tables",)) else path[:1]


def _without(values: Mapping[str, Any], broken: Collection[KeyPath]) -> dict[str, Any] | None:
    """Return the configuration without its broken parts; None if there is too little left to check."""
    if () in broken:
        return None
    sound = {key: value for key, value in values.items() if (key,) not in broken}
    for key in ("features", "tables"):
        if isinstance(sound.get(key), Mapping):
            sound[key] = {name: value for name, value in sound[key].items() if (key, name) not in broken}
    sound.setdefault("label", "(broken)")
    return sound if sound.get("features") else None
