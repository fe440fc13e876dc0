"""Read a YAML file into a checked `Config`, or raise one error that lists all of its problems."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recsys.config.document import Document, parse_yaml
from recsys.config.former import current_values
from recsys.config.include import parse_document, read_document
from recsys.config.kept import locate_kept
from recsys.config.messages import show
from recsys.config.problems import TAG_MARK, KeyPath, Problem, SourceMap, config_error
from recsys.config.run import Config
from recsys.config.search_space import check_space
from recsys.config.validate import validate

__all__ = ["load_config", "load_run_config", "load_text", "parse_config", "parse_text"]


def load_config(path: Path) -> Config:
    """Read a configuration file and what it includes.

    Raises:
        ConfigError: a line with FILE:LINE, key, rule and value for each problem in any of the files.
    """
    return _checked(read_document(path))


def load_run_config(path: Path) -> Config:
    """Read the configuration that a run keeps, in the meaning that it had for the version that trained the run.

    Args:
        path: `RunFolder.config`.

    Raises:
        ConfigError: as `load_config`.
    """
    return _checked(read_document(path), current_values)


def load_text(text: str, path: Path) -> Config:
    """Read a configuration as if a file held a text, which may include others.

    Raises:
        ConfigError: as `load_config`.
    """
    return _checked(parse_document(text, path))


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
    return locate_kept(config)


def _checked(
    document: Document, read: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda values: values
) -> Config:
    if document.root is None:
        raise config_error(document.problems)
    source = SourceMap(document.root.locations())
    config, problems = _validate(read(document.root.plain()))
    if config is None or problems or document.problems:
        raise config_error([*document.problems, *map(source.locate, problems)])
    return locate_kept(config.from_source(source))


def _validate(values: Mapping[str, Any]) -> tuple[Config | None, list[Problem]]:
    """Check a configuration, and that what it lets a search change fits it."""
    config, problems = validate(values)
    return config, problems + (check_space(config) if config is not None and not problems else [])


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
