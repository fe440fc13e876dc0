"""Classes of the user's own, named `package.module:Class` in a configuration. Naming one runs its module."""

import importlib
from typing import TypeVar

from recsys.errors import ConfigError

__all__ = ["load_class"]

T = TypeVar("T")


def load_class(name: str, base: type[T]) -> type[T]:
    """Import the class called `name` ("package.module:Class") and check that it extends `base`.

    Raises:
        ConfigError: the module or the class is missing, or the class is something else.
    """
    module_name, _, class_name = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name}: cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigError(f"{name}: must be a class that extends {base.__module__}.{base.__qualname__}, got {found!r}")
    return found
