"""Configurations from files, YAML text, or dicts that may hold classes and data frames."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys.api.defaults import DEFAULT_CACHE
from recsys.api.frames import frame_file, is_frame
from recsys.config import Config
from recsys.config.check import check
from recsys.config.load import load_config as load_file
from recsys.config.load import parse_config, parse_text
from recsys.config.problems import spell
from recsys.errors import ConfigError

__all__ = ["class_path", "load_config", "with_data"]


def load_config(source: "str | Path | Mapping[str, Any] | Config", *, cache_dir: str | Path = DEFAULT_CACHE) -> Config:
    """Check a configuration and return it as a frozen object.

    Args:
        source: the path of a YAML file, YAML text (any string with a line break), or a dict with the keys of the YAML
            file. In a dict, a tower, a scheme or a loss may be a class in place of "package.module:Class"; it must be
            defined at the top level of a module. A class of a notebook (or of the script that is run) works in this
            process alone. In the section `data` of a dict, a data frame may stand in place of a file.
        cache_dir: folder to which data frames are written.

    Raises:
        ConfigError: lists every problem at once, those of files with FILE:LINE.

    Example:
        >>> config = load_config({"label": "click", "features": {"user": {"type": "id"}}, "model": {"tower": "lr"}})
        >>> config.model.tower
        'lr'
    """
    if isinstance(source, Config):
        return source
    if isinstance(source, Mapping):
        data = source.get("data")
        in_memory = [name for name, value in data.items() if is_frame(value)] if isinstance(data, Mapping) else []
        return _without_format(parse_config(_plain(source, (), Path(cache_dir))), in_memory)
    if isinstance(source, str) and "\n" in source:
        return parse_text(source)
    if not isinstance(source, str | Path):
        raise ConfigError(f"a configuration must be a path, YAML text or a mapping, got {type(source).__name__}")
    return load_file(Path(source))


def with_data(config: Config, given: Mapping[str, Any], cache_dir: str | Path = DEFAULT_CACHE) -> Config:
    """Return a configuration whose section `data` names other files or frames.

    Args:
        config: the checked configuration.
        given: new values of `train`, `valid` and `test`; None keeps what the configuration says.
        cache_dir: folder to which data frames are written.

    Raises:
        ConfigError: a value is neither a frame nor a path, or contradicts the rest of the section.
    """
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        return config
    plain = {name: _plain(value, ("data", name), Path(cache_dir)) for name, value in changes.items()}
    for name, value in plain.items():
        if not isinstance(value, str) and not (isinstance(value, tuple) and all(isinstance(one, str) for one in value)):
            kind = type(changes[name]).__name__
            raise ConfigError(f"data.{name}: must be a data frame, a path or a list of paths, got {kind}")
    changed = config.replaced(data=config.data.model_copy(update=plain))
    if problems := check(changed):
        raise config.source.error(problems)
    return _without_format(changed, [name for name, value in changes.items() if is_frame(value)])


def class_path(cls: type, *, where: str) -> str:
    """Return the import path of a class.

    Raises:
        ConfigError: the class cannot be imported, since it is no top-level name of its module.

    >>> class_path(Path, where="model.tower")
    'pathlib:Path'
    """
    module = sys.modules.get(cls.__module__)
    if getattr(module, cls.__name__, None) is not cls:
        raise ConfigError(
            f"{where}: a class must be defined at the top level of a module, got {cls.__module__}.{cls.__qualname__}"
        )
    return f"{cls.__module__}:{cls.__name__}"


def _without_format(config: Config, in_memory: Sequence[str]) -> Config:
    """Refuse a file format that the Arrow files of data frames do not have."""
    if in_memory and config.data.format not in (None, "arrow"):
        where = config.where("data", "format")
        raise ConfigError(f"{where}: must be left out where data.{in_memory[0]} is a data frame")
    return config


def _plain(value: Any, path: tuple[str | int, ...], cache_dir: Path) -> Any:
    """Return a value as a YAML file would give it: sequences are tuples, classes and frames are named by text."""
    if isinstance(value, Mapping):
        return {key: _plain(child, (*path, key), cache_dir) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(child, (*path, i), cache_dir) for i, child in enumerate(value))
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, type):
        return class_path(value, where=spell(path))
    if is_frame(value) and path[:1] == ("data",):
        return str(frame_file(value, cache_dir / "frames", name=spell(path)))
    return value
