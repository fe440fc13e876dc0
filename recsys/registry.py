"""Names of a configuration and what they stand for: schemes, towers, losses, metrics, feature types.

A registry holds one light entry for each name. What is heavy (torch, polars) is named by an import path in the entry,
"recsys.embeddings.schemes.hash:Hash", and imported when it is first used.
"""

import difflib
import importlib
import inspect
import re
import traceback
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, Generic, TypeVar

from recsys.errors import ConfigError

__all__ = [
    "CLASS_PATH",
    "CUSTOM",
    "BrokenModuleError",
    "Registry",
    "class_problem",
    "did_you_mean",
    "load_class",
    "load_object",
]

CUSTOM = "package.module:Class"
"""Stands for any class of the user's own in the list of choices."""
CLASS_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
"""Pattern of an import path."""
MOST_LETTERS = 200
"""Length of a name for which similar ones are looked for, which takes the square of it."""
MOST_NAMES = 1000
"""Number of names among which similar ones are looked for."""
_NAME = re.compile(r"[a-z]\w*")

Entry = TypeVar("Entry")
T = TypeVar("T")


class BrokenModuleError(ConfigError):
    """A module that a configuration names was found, but running it failed."""


class Registry(Generic[Entry]):
    """Entries of one kind by name, in the order in which they were registered.

    Args:
        kind: what the entries are, for messages: "scheme".

    Example:
        >>> colors: Registry[int] = Registry("color")
        >>> colors.register("red", 0xFF0000)
        16711680
        >>> list(colors), "red" in colors, colors["red"]
        (['red'], True, 16711680)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def register(self, name: str, entry: Entry) -> Entry:
        """Add an entry and return it.

        A class that is defined again, as a notebook's cell does, takes the place of its former self.

        Raises:
            ConfigError: the name is not in lower case, or another entry has it.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"the name of a {self.kind} must be lower case letters, digits and _, got {name!r}")
        if name in self._entries and not _is_same(self._entries[name], entry):
            raise ConfigError(f"{self.kind} {name!r} is registered already, as {self._entries[name]!r}")
        self._entries[name] = entry
        return entry

    def find(self, name: str, *, where: str = "") -> Entry:
        """Return the entry of a name.

        Args:
            name: as it was registered.
            where: the key that names it, for messages, such as "model.tower".

        Raises:
            ConfigError: nothing is registered under this name; the message lists the names that are.
        """
        if name not in self._entries:
            known = ", ".join(self._entries)
            prefix = f"{where}: " if where else ""
            raise ConfigError(f"{prefix}no {self.kind} {name!r}{did_you_mean(name, self)}; registered are {known}")
        return self._entries[name]

    def get(self, name: str) -> Entry | None:
        """Return the entry of a name, None if there is none."""
        return self._entries.get(name)

    def __getitem__(self, name: str) -> Entry:
        return self.find(name)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def values(self) -> list[Entry]:
        """Return all entries, in order."""
        return list(self._entries.values())

    def items(self) -> list[tuple[str, Entry]]:
        """Return all names and entries, in order."""
        return list(self._entries.items())


def _is_same(old: object, new: object) -> bool:
    """Say whether an entry is registered again: itself, or a later definition of the same class."""
    identity = [(getattr(e, "__module__", None), getattr(e, "__qualname__", None)) for e in (old, new)]
    return old is new or old == new or (isinstance(old, type) and identity[0] == identity[1])


def load_object(path: str, *, where: str = "") -> Any:
    """Import what an import path names.

    The module is run.

    Args:
        path: "package.module:Name".
        where: the key that names it, for messages, such as "model.tower".

    Raises:
        ConfigError: there is no such module or name.
        BrokenModuleError: the module raised; the message says what, and in which line.

    >>> load_object("math:pi", where="train.loss")
    3.141592653589793
    """
    module_name, _, name = path.partition(":")
    prefix = f"{where}: " if where else ""
    module = _module(module_name, path, prefix)
    if not hasattr(module, name):
        if module_name == "__main__":
            raise ConfigError(
                f"{prefix}{name!r} was defined in a notebook or script, which this process does not run; define it "
                "again before, or move it to a module and name that in the configuration"
            )
        raise ConfigError(f"{prefix}module {module_name} has no {name!r}, got {path!r}")
    return getattr(module, name)


def load_class(path: str, base: type[T], *, where: str) -> type[T]:
    """Import the class that an import path names.

    Args:
        path: "package.module:Class".
        base: what it must extend.
        where: the key that names it, for messages, such as "model.tower".

    Raises:
        ConfigError: there is no such module or class, or the class does not extend `base`, or not wholly.
    """
    found: type[T] = load_object(path, where=where)
    if text := class_problem(found, path, f"{base.__module__}:{base.__qualname__}"):
        raise ConfigError(f"{where}: {text}")
    return found


def class_problem(found: object, path: str, base: str) -> str:
    """Say why what an import path names cannot be built; "" if it can. The base class need not be imported.

    >>> class_problem(dict, "builtins:dict", "numbers:Number")
    "must be a subclass of numbers.Number, got 'builtins:dict'"
    """
    if not isinstance(found, type) or base not in [f"{c.__module__}:{c.__qualname__}" for c in found.__mro__]:
        return f"must be a subclass of {base.replace(':', '.')}, got {path!r}"
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        return f"must be a class that defines all methods of its base, got {path!r}, which lacks {missing}"
    return ""


def _module(name: str, path: str, prefix: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _broken(path, prefix, error) from error  # found, but it imports something that is not there
        raise ConfigError(
            f"{prefix}cannot find the module {error.name}, got {path!r}; its folder must be on PYTHONPATH"
        ) from error
    except (Exception, SystemExit) as error:
        raise _broken(path, prefix, error) from error


def _broken(path: str, prefix: str, error: BaseException) -> BrokenModuleError:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    last = frames[-1]
    at = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (last.filename, last.lineno)
    return BrokenModuleError(f"{prefix}cannot import {path!r}: {at[0]}:{at[1]}: {type(error).__name__}: {error}")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return "; did you mean 'price'?" if a known name is close, else nothing.

    >>> did_you_mean("pric", ["city", "price"])
    "; did you mean 'price'?"
    """
    names = set(known)
    if not isinstance(name, str) or len(name) > MOST_LETTERS or len(names) > MOST_NAMES:
        return ""
    close = difflib.get_close_matches(name, sorted(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
