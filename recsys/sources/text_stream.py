"""Bytes of a text file, decompressed and cut at line ends."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys.errors import DataError
from recsys.sources.raw_file import readable

__all__ = ["LONGEST_LINE", "RETURNS", "UTF8_MARK", "compression_of", "iconv", "lone_returns", "whole_lines"]

LONGEST_LINE = 2**27
"""Bytes that a line, or a field in quotes, may have."""

_COMPRESSED = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
    "lz4": re.compile(rb"\x04\x22\x4d\x18"),
}
_ARCHIVES = {b"PK\x03\x04": "a zip archive", b"7z\xbc\xaf\x27\x1c": "a 7z archive", b"\xfd7zXZ\x00": "compressed by xz"}
RETURNS = "lines end with CR alone; convert them, for example with tr '\\r' '\\n'"
UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def whole_lines(path: Path, block_bytes: int) -> Iterator[bytes]:
    """Yield the text in blocks that end with a line end, the last one perhaps without.

    The content tells whether the file is compressed; browsers and copies often leave a name that does not fit.

    Raises:
        DataError: the file is damaged, an archive, not UTF-8 by its first bytes, or has no line ends.
    """
    with readable(path, "text"), path.open("rb") as file:
        start = file.read(16)
    _check_start(path, start)
    with readable(path, "text"), pa.input_stream(str(path), compression=compression_of(start)) as stream:
        first = stream.read(len(UTF8_MARK))
        _check_utf16(path, first)
        rest = b"" if first == UTF8_MARK else first
        while data := stream.read(block_bytes):
            cut = data.rfind(b"\n") + 1
            if cut:
                yield rest + data[:cut]
                rest = data[cut:]
            else:
                rest += data
                _check_line(path, rest)
        if rest:
            yield rest


def compression_of(start: bytes) -> str | None:
    """Return the name of the compression that the first bytes of a file tell."""
    return next((name for name, magic in _COMPRESSED.items() if magic.match(start)), None)


def lone_returns(block: bytes) -> np.ndarray:
    """Return the positions of carriage returns that no line feed follows; at the end of a block is none."""
    if b"\r" not in block:
        return np.zeros(0, np.int64)
    text = np.frombuffer(block, np.uint8)
    returns = np.flatnonzero(text[:-1] == ord("\r"))
    lone: np.ndarray = returns[text[returns + 1] != ord("\n")]
    return lone


def iconv(path: Path, text: bytes) -> str:
    """Return the command that converts a file, by the look of some text of it that is not UTF-8.

    >>> iconv(Path("a.csv"), "caf\u00e9,1".encode("latin-1"))
    'convert it, for example with iconv -f latin1 -t utf-8 a.csv > a.utf8.csv'
    """
    if text.startswith(_UTF16_MARKS) or b"\0" in text:
        encoding = "utf-16"
    else:
        high = "".join("x" if byte > 127 else " " for byte in text).split()
        encoding = "latin1" if any(len(run) % 2 for run in high) else "gb18030"
    new = path.with_name(f"{path.stem}.utf8{path.suffix}")
    return (
        f"convert it, for example with iconv -f {encoding} -t utf-8 {shlex.quote(str(path))} > {shlex.quote(str(new))}"
    )


def _check_start(path: Path, start: bytes) -> None:
    for magic, what in _ARCHIVES.items():
        if start.startswith(magic):
            raise DataError(f"{path}: the file is {what}; unpack it (gzip, bzip2, zstd and lz4 are read as they are)")
    if not start and path.suffix.lower() in (".gz", ".bz2", ".zst", ".lz4"):
        raise DataError(f"{path}: cannot be read as text: the file is empty, which no compressed file is")


def _check_utf16(path: Path, start: bytes) -> None:
    if start.startswith(_UTF16_MARKS):
        raise DataError(f"{path}: the file is UTF-16 text, expected UTF-8; {iconv(path, start)}")


def _check_line(path: Path, line: bytes) -> None:
    if len(line) > LONGEST_LINE:
        remedy = f"; {RETURNS}" if b"\r" in line else ""
        raise DataError(f"{path}: a line does not end within {LONGEST_LINE} bytes, from {line[:60]!r}{remedy}")
