"""Checksums of the files that this package writes; they stand in `checksums.json` beside the files.

A checksum is to find damage, not forgery: a bit that has flipped, a file that was cut off or edited. Whoever can write
a file can write its checksum. A folder without `checksums.json`, such as one that an earlier version has written, is
read unverified, and so is a file that `checksums.json` does not list.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from recsys.errors import DataError
from recsys.files import to_json, write_json

__all__ = [
    "CHECKSUMS",
    "checksum",
    "damaged",
    "inside",
    "read_checksums",
    "read_json",
    "read_verified",
    "recording",
    "sha256_of",
    "verify",
    "verify_all",
    "with_checksum",
    "without_checksum",
    "write_checksums",
]

Checksums: TypeAlias = dict[str, str | list[tuple[int, str]]]

CHECKSUMS = "checksums.json"
"""Name of the file with the checksums of a folder's files."""

_BLOCK_BYTES = 2**20
_PAGE_BYTES = 4096
_SMALL_BYTES = 2**16
_TRIES = 2
"""A run that is training may write a file and its checksum between the two readings."""


def checksum(content: bytes | memoryview) -> str:
    """Return the checksum of some bytes, in hexadecimal.

    Up to 64 KiB it is their BLAKE2b. Of more, it is the BLAKE2b of the sums of the 64-bit words of each page of 4 KiB,
    and of what is left after the last page. So it takes no longer than reading the bytes from memory (about 20 GB/s;
    zlib's CRC-32 makes 3 GB/s, SHA-256 in hardware 2 GB/s). Any changed word is found, and any page that holds what
    belongs to another place. Words that change places within a page are not: disks and networks do no such thing.

    >>> checksum(b"clicked")
    '31524d17be8d2a23'
    """
    view = memoryview(content).cast("B")
    whole = _Checksum(len(view))
    for start in range(0, len(view), _BLOCK_BYTES):
        whole.add(view[start : start + _BLOCK_BYTES])
    return whole.hexadecimal()


class _Checksum:
    """The checksum of so many bytes, which are read block by block."""

    def __init__(self, num_bytes: int) -> None:
        self._is_small = num_bytes <= _SMALL_BYTES
        self._hash = hashlib.blake2b(digest_size=8)
        self.num_bytes = 0

    def add(self, block: memoryview) -> None:
        """Add the next block of `_BLOCK_BYTES`; the last one may be shorter."""
        import numpy as np

        num_paged = 0 if self._is_small else len(block) - len(block) % _PAGE_BYTES
        if num_paged:
            words = np.frombuffer(block[:num_paged], "<u8")
            self._hash.update(np.add.reduceat(words, np.arange(0, words.size, _PAGE_BYTES // 8)).data)
        self._hash.update(block[num_paged:])
        self.num_bytes += len(block)

    def hexadecimal(self) -> str:
        self._hash.update(self.num_bytes.to_bytes(8, "little"))
        return self._hash.hexdigest()


def read_checksums(folder: Path) -> Checksums:
    """Return the checksums of a folder's files by name; {} if it has none.

    Returns:
        A checksum, or for a file that is read in parts, the end and the checksum of each part.

    Raises:
        DataError: `checksums.json` is damaged itself.
    """
    path = folder / CHECKSUMS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        files: Checksums = found["files"]
        if found["checksum"] != checksum(_text(files).encode()):
            raise ValueError("it is not what was written")
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path}: is damaged ({error}); if it is deleted, the files of the folder are read unverified"
        ) from error
    return files


def write_checksums(folder: Path, names: Iterable[str], *, parts: Mapping[str, Sequence[int]] | None = None) -> None:
    """Write `checksums.json` for files of a folder, in place of what it listed before.

    Args:
        folder: the folder.
        names: files that are read as a whole.
        parts: files that are read in parts -> the ends of their parts, in bytes; the last one is that of the file.

    Raises:
        OSError: a file cannot be read, or the disk is full.
    """
    files: Checksums = {name: _checksum_of_file(folder / name) for name in names}
    for name, ends in (parts or {}).items():
        with (folder / name).open("rb") as file:
            files[name] = [(end, _checksum_of(file, end - start)) for start, end in pairwise([0, *ends])]
    _write(folder, files)


@contextmanager
def recording(path: Path) -> Iterator[None]:
    """Record the checksum of a file that is written in the block, beside those of other files of its folder.

    The former checksum is forgotten before: if the process is killed in between, the file is read unverified.
    """
    files = read_checksums(path.parent)
    if files.pop(path.name, None) is not None:
        _write(path.parent, files)
    yield
    _write(path.parent, read_checksums(path.parent) | {path.name: _checksum_of_file(path)})


def read_verified(path: Path, *, remedy: str) -> bytes:
    """Return the content of a file, compared with its checksum if there is one.

    Args:
        path: the file.
        remedy: what to do if it is damaged, for the message.

    Raises:
        DataError: the file is damaged.
        OSError: it cannot be read.
    """
    for _ in range(_TRIES):
        content = path.read_bytes()
        if read_checksums(path.parent).get(path.name) in (None, checksum(content)):
            return content
    raise damaged(path, remedy)


def read_json(path: Path, *, remedy: str) -> Any:
    """Return the content of a JSON file, compared with its checksum if there is one.

    Args:
        path: the file.
        remedy: what to do if it is damaged, for the message.

    Raises:
        DataError: the file is damaged.
        OSError: it cannot be read.
    """
    try:
        return json.loads(read_verified(path, remedy=remedy))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is damaged: it is no JSON ({error}); {remedy}") from error


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON file that carries its own checksum, since it may lie anywhere.

    >>> with_checksum({"rows": 3})
    {'rows': 3, 'checksum': 'b1380a61dc6cb3f0'}
    """
    return {**content, "checksum": checksum(_text(content).encode())}


def without_checksum(content: Mapping[str, Any], path: Path, *, remedy: str) -> dict[str, Any]:
    """Return what `with_checksum` was given; content without a checksum is taken as it is.

    Args:
        content: what the file holds.
        path: the file.
        remedy: what to do if it is damaged, for the message.

    Raises:
        DataError: the content is not what was written.
    """
    bare = {key: value for key, value in content.items() if key != "checksum"}
    if "checksum" in content and content["checksum"] != checksum(_text(bare).encode()):
        raise DataError(f"{_damaged(path)}; {remedy} (to read it as it is, delete the key checksum in it)")
    return bare


def verify(path: Path, *, remedy: str) -> Path:
    """Compare a file with its checksum if there is one, and return its path.

    Args:
        path: the file.
        remedy: what to do if it is damaged, for the message.

    Raises:
        DataError: the file is damaged.
        OSError: it cannot be read.
    """
    for _ in range(_TRIES):
        expected = read_checksums(path.parent).get(path.name)
        if expected is None or _checksum_of_file(path) == expected:
            return path
    raise damaged(path, remedy)


def verify_all(folder: Path, *, remedy: str) -> None:
    """Compare those files of a folder that have a checksum and are there.

    Raises:
        DataError: a file is damaged.
    """
    for name in read_checksums(folder):
        if (folder / name).exists():
            verify(folder / name, remedy=remedy)


def damaged(path: Path, remedy: str) -> DataError:
    """Return the error to raise for a file whose content is not what was written."""
    return DataError(f"{_damaged(path)}; {remedy} (to read it as it is, delete {path.with_name(CHECKSUMS)})")


def _damaged(path: Path) -> str:
    return f"{path}: is damaged or was edited: its checksum is not that of what was written"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal: it tells files apart that a checksum might not.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file of a folder, for a name that another file of the folder gives.

    Raises:
        DataError: the name, or a symbolic link of that name, leads out of the folder.
    """
    path = folder / name
    if path.parent != folder or path.name in ("", "..") or "\0" in name:
        raise DataError(f"{folder}: names a file that does not lie in it, got {name!r}")
    if path.is_symlink() and path.resolve().parent != folder.resolve():
        raise DataError(f"{path}: is a link to {path.resolve()}, out of its folder; put the file itself there")
    return path


def _checksum_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return _checksum_of(file, path.stat().st_size)


def _checksum_of(file: BinaryIO, num_bytes: int) -> str:
    """Return the checksum of the next bytes of a file, or of those that there are."""
    whole = _Checksum(num_bytes)
    buffer = memoryview(bytearray(min(_BLOCK_BYTES, num_bytes)))
    while num_read := file.readinto(buffer[: num_bytes - whole.num_bytes]):  # type: ignore[attr-defined]
        whole.add(buffer[:num_read])
    return whole.hexadecimal()


def _write(folder: Path, files: Checksums) -> None:
    write_json(folder / CHECKSUMS, {"files": files, "checksum": checksum(_text(files).encode())})


def _text(content: Mapping[str, Any]) -> str:
    return to_json(content)
