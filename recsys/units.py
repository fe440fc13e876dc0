"""Bytes, counts and durations as people read and write them."""

import re

__all__ = ["BYTES_PATTERN", "GB", "GIB", "format_bytes", "format_count", "format_duration", "parse_bytes"]

GB = 10**9
GIB = 2**30

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": GB, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": GIB, "TIB": 2**40}

MOST_BYTES = 10**18
"""More than a data centre stores."""
BYTES_PATTERN = r"^\s*(\d+(?:\.\d*)?)\s*([A-Za-z]+)\s*$"
"""Regular expression of a number with a unit, for JSON schemas; `parse_bytes` also checks the unit."""


def parse_bytes(text: str) -> int:
    """Return the bytes that a text such as "10MB" or "1.5 GiB" means.

    >>> parse_bytes("1.5 kB"), parse_bytes("2GiB")
    (1500, 2147483648)

    Raises:
        ValueError: the text is not a number with one of the units, or means more than a million terabytes.
    """
    found = re.match(BYTES_PATTERN, text)
    got = repr(text if len(text) <= 60 else f"{text[:57]}...")
    if found is None or found[2].upper() not in _UNITS:
        raise ValueError(f"must be a number and one of B, kB, MB, GB, KiB, MiB, GiB, e.g. 10MB, got {got}")
    size = float(found[1]) * _UNITS[found[2].upper()]
    if size > MOST_BYTES:
        raise ValueError(f"must be at most {MOST_BYTES // _UNITS['TB']:,}TB, got {got}")
    return int(size)


def format_bytes(num_bytes: float | None) -> str:
    """Return bytes with a decimal unit and one digit after the point; "?" for an unknown number.

    >>> format_bytes(1_234_567), format_bytes(None)
    ('1.2 MB', '?')
    """
    if num_bytes is None:
        return "?"
    size = float(num_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def format_count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with the noun that fits it.

    >>> format_count(1, "cell"), format_count(12_345, "cell"), format_count(2, "process", "processes")
    ('1 cell', '12,345 cells', '2 processes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def format_duration(seconds: float) -> str:
    """Return a duration in hours and minutes, or in seconds below one minute.

    >>> format_duration(4000), format_duration(150), format_duration(45.2)
    ('1 h 6 min', '2 min', '45 s')
    """
    hours, minutes = divmod(int(seconds) // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
