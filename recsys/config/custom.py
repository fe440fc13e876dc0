"""Classes of the user's own, named `package.module:Class` in a configuration."""

import importlib
from types import ModuleType
from typing import TypeVar

from recsys.errors import ConfigError

__all__ = ["load_class"]

T = TypeVar("T")


def load_class(name: str, base: type[T], *, where: str) -> type[T]:
    """Import a class; this runs its module, and what that raises is not caught unless the module is not there.

    Args:
        name: "package.module:Class".
        base: what it must extend.
        where: the key that names it, for messages, such as "model.tower".

    Raises:
        ConfigError: there is no such module or class, or the class does not extend `base`.
    """
    module_name, _, class_name = name.partition(":")
    found = getattr(_module(module_name, name, where), class_name, None)
    if found is None:
        raise ConfigError(f"{where}: module {module_name} has no {class_name!r}, got {name!r}")
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigError(f"{where}: must be a subclass of {base.__module__}.{base.__qualname__}, got {name!r}")
    return found


def _module(name: str, given: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # found, but it imports something that is not there
        raise ConfigError(
            f"{where}: cannot find the module {error.name}, got {given!r}; its folder must be on PYTHONPATH"
        ) from error
