"""The raw files that a prepared folder was made from, so that it is found again if they are the same by other names.

The name of a prepared folder tells where its files lay, how large they were and when they were written. Where no folder
has that name, those are looked at that were made in the same way from files of the same sizes: a file that lies where
it lay (by whatever spelling of its path) and has its time is the same, and of any other the content is compared, by the
SHA-256 of all of it: a checksum, which is for damage, could take an edited file for the one that it was made from.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from recsys.checksums import sha256_of
from recsys.data.splits import SplitName
from recsys.files import write_json

__all__ = ["content_of", "find_same_content", "write_record"]

_RECORD = "raw_files.json"


class _RawFile(NamedTuple):
    path: str
    """Path without symbolic links and `..`."""
    num_bytes: int
    written_ns: int
    checksum: str


def write_record(folder: Path, settings: str, files: Mapping[SplitName, Sequence[Path]]) -> None:
    """Write down what a prepared folder was made from.

    Args:
        folder: the prepared folder.
        settings: a key of everything else that it depends on.
        files: split -> its raw files.
    """
    _write(folder, settings, {name: [_look_at(path, None) for path in paths] for name, paths in files.items()})


def find_same_content(cache_dir: Path, settings: str, files: Mapping[SplitName, Sequence[Path]]) -> Path | None:
    """Return a prepared folder that was made in the same way from files of the same content; None if there is none."""
    for record in sorted(cache_dir.glob(f"*/{_RECORD}")):
        before = _read(record.parent)
        if before is None or before[0] != settings:
            continue
        now = _same_files(before[1], files)
        if now is not None:
            if now != before[1]:
                with suppress(OSError):  # of a cache that is read-only; the files are then compared each time
                    _write(record.parent, settings, now)
            return record.parent
    return None


def content_of(folder: Path) -> str | None:
    """Return a key of the content of the raw files and of the settings; None if an earlier version made the folder."""
    found = _read(folder)
    if found is None:
        return None
    settings, files = found
    contents = {name: [(file.num_bytes, file.checksum) for file in of_split] for name, of_split in files.items()}
    return hashlib.blake2b(json.dumps([settings, contents]).encode(), digest_size=12).hexdigest()


def _same_files(
    before: Mapping[SplitName, Sequence[_RawFile]], files: Mapping[SplitName, Sequence[Path]]
) -> dict[SplitName, list[_RawFile]] | None:
    """Return the files as they are now if their content is what it was, else None."""
    sizes = {name: [path.stat().st_size for path in paths] for name, paths in files.items()}
    if sizes != {name: [was.num_bytes for was in paths] for name, paths in before.items()}:
        return None
    now: dict[SplitName, list[_RawFile]] = {name: [] for name in files}
    for name, paths in files.items():
        for path, was in zip(paths, before[name], strict=True):
            now[name].append(_look_at(path, was))
            if now[name][-1].checksum != was.checksum:
                return None
    return now


def _look_at(path: Path, before: _RawFile | None) -> _RawFile:
    """Describe a file; its content is read unless it is known to be that of before."""
    status = path.stat()
    found = _RawFile(str(path.resolve()), status.st_size, status.st_mtime_ns, "")
    is_same = before is not None and found == before._replace(checksum="")
    return found._replace(checksum=before.checksum if before is not None and is_same else sha256_of(path))


def _write(folder: Path, settings: str, files: Mapping[SplitName, Sequence[_RawFile]]) -> None:
    write_json(folder / _RECORD, {"settings": settings, "files": files})


def _read(folder: Path) -> tuple[str, dict[SplitName, list[_RawFile]]] | None:
    try:
        facts: dict[str, Any] = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        return facts["settings"], {name: [_RawFile(*file) for file in found] for name, found in facts["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
