"""Paths and globs of the section `data` as files."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from recsys.config.run import Paths
from recsys.errors import DataError

__all__ = ["find_files"]

_ANY_FOLDERS = re.compile(r"(?<![^/])(\*\*/+)+")
"""Any folders; one such step means as much as several, each of which would try all folders again."""
_GLOB = frozenset("*?[")
_HIDDEN = (".", "_")


def find_files(patterns: Paths, folder: Path, where: str) -> tuple[Path, ...]:
    """Expand globs, each in the order of the names.

    Args:
        patterns: one path or glob, or several; relative ones start at `folder`.
        folder: the data folder.
        where: beginning of the message, such as "data.train".

    Raises:
        DataError: a file is missing, or a glob matches nothing.
    """
    found: list[Path] = []
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        try:
            if "\0" in pattern:
                raise ValueError("embedded null byte")
            found += _matches(_ANY_FOLDERS.sub("**/", pattern), folder, where)
        except (ValueError, NotImplementedError, OSError) as error:  # pathlib's: **x, a NUL, a name that is too long
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(f"{where}: {pattern[:100]!r} can be no path or glob: {reason}") from error
    return tuple(dict.fromkeys(found))


def _matches(pattern: str, folder: Path, where: str) -> list[Path]:
    path = folder / pattern
    if path.is_file():
        return [path]
    if path.is_dir():
        raise DataError(f"{where}: {path} is a folder; name its files, for example {pattern.rstrip('/')}/*.parquet")
    absolute = Path(pattern).is_absolute()
    start = f"; relative paths start at --data-dir, {folder}" if where.startswith("data.") and not absolute else ""
    if not _GLOB & set(pattern):
        raise DataError(f"{where}: there is no file {path}{start}")
    base = Path(path.anchor) if absolute else folder
    relative = str(path.relative_to(base)) if absolute else pattern
    matches = sorted(match for match in base.glob(relative) if match.is_file())
    shown = [match for match in matches if _is_shown(match.relative_to(base).parts, Path(relative).parts)]
    if not shown:
        hidden = "; names that begin with . or _ are skipped unless the pattern spells that" if matches else ""
        raise DataError(f"{where}: no file matches {pattern!r} in {base}{hidden or start}")
    return shown


def _is_shown(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Say whether no wildcard stands for the . or _ of a name: so begin marks and remnants of Spark, macOS and editors.

    >>> _is_shown(("a", "_SUCCESS"), ("**", "*")), _is_shown(("_tmp", "a.csv"), ("_*", "*.csv"))
    (False, True)
    """
    if not parts or not patterns:
        return not parts and not patterns
    is_hidden = parts[0].startswith(_HIDDEN)
    if patterns[0] == "**" and _is_shown(parts, patterns[1:]):
        return True
    if patterns[0] == "**":
        return not is_hidden and _is_shown(parts[1:], patterns)
    is_spelled = not is_hidden or patterns[0].startswith(parts[0][0])
    return fnmatchcase(parts[0], patterns[0]) and is_spelled and _is_shown(parts[1:], patterns[1:])
