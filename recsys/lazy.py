"""Names of a package that are imported when they are first used, so that importing the package alone is quick."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(package: str, origins: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions `__getattr__` and `__dir__` of a package whose names are imported on first use.

    Args:
        package: `__name__` of the package.
        origins: for each module, the names that it gives to the package, with spaces between them.

    Example:
        ```python
        __getattr__, __dir__ = lazy_names(__name__, {"recsys.embeddings.batch": "Batch"})
        ```
    """
    module_of = {name: module for module, names in origins.items() for name in names.split()}

    def find(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    def show() -> list[str]:
        exported: list[str] = sys.modules[package].__all__
        return sorted(exported)

    return find, show
