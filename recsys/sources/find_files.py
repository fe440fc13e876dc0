"""Paths and globs of the section `data` as files."""

from pathlib import Path

from recsys.config.run import Paths
from recsys.errors import DataError

__all__ = ["find_files"]

_GLOB = frozenset("*?[")


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
        found += _matches(pattern, folder, where)
    return tuple(dict.fromkeys(found))


def _matches(pattern: str, folder: Path, where: str) -> list[Path]:
    path = folder / pattern
    if path.is_file():
        return [path]
    if path.is_dir():
        raise DataError(f"{where}: {path} is a folder; name its files, for example {pattern.rstrip('/')}/*.parquet")
    if not _GLOB & set(pattern):
        raise DataError(f"{where}: there is no file {path}")
    absolute = Path(pattern).is_absolute()
    base = Path(path.anchor) if absolute else folder
    relative = str(path.relative_to(base)) if absolute else pattern
    matches = sorted(match for match in base.glob(relative) if match.is_file())
    if not matches:
        raise DataError(f"{where}: no file matches {pattern!r} in {base}")
    return matches
