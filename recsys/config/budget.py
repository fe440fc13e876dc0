"""Memory budgets as people write them: `10MB`, or `0.1` of the full table."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from recsys.errors import ConfigError

__all__ = ["Budget", "budget_bytes", "read_budget"]

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_TEXT = re.compile(r"^\s*(\d+(?:\.\d*)?)\s*([A-Za-z]+)\s*$")


def budget_bytes(budget: str | float, full: int | None) -> int | None:
    """Return a budget in bytes; None for a fraction of a table whose size nobody knows.

    Args:
        budget: "10MB", "1.5GiB", ..., or a fraction of the full table.
        full: bytes of the full table; None if a vocabulary is open.

    >>> budget_bytes("1.5 kB", None), budget_bytes(0.1, 4000)
    (1500, 400)
    """
    if isinstance(budget, str):
        found = _TEXT.match(budget)
        assert found is not None, "checked with the configuration"
        return int(float(found[1]) * _UNITS[found[2].upper()])
    return None if full is None else int(full * budget)


def read_budget(text: str, *, where: str) -> str | float:
    """Return a budget of the command line, as a configuration would hold it.

    >>> read_budget("0.1", where="--what-if"), read_budget("10MB", where="--what-if")
    (0.1, '10MB')

    Raises:
        ConfigError: it is neither a size nor a fraction.
    """
    try:
        value: str | float = float(text)
    except ValueError:
        value = text
    try:
        budget: str | float = _check(value)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    return budget


def _check(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be bytes such as 10MB, or a fraction of the full table such as 0.1")
    if isinstance(value, str):
        found = _TEXT.match(value)
        if found is None or found[2].upper() not in _UNITS:
            raise ValueError(f"must be a number and one of B, kB, MB, GB, KiB, MiB, GiB, e.g. 10MB, got {value!r}")
        return value
    if not 0 < value <= 1:
        raise ValueError(f"a number without a unit is a fraction of the full table, in (0, 1]; got {value:g}")
    return float(value)


Budget = Annotated[
    str | float,
    BeforeValidator(_check),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _TEXT.pattern},
                {"exclusiveMinimum": 0, "maximum": 1, "type": "number"},
            ]
        }
    ),
]
"""Bytes of a table as it is served ("10MB"), or a fraction of the full table's (0.1)."""
