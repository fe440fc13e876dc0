"""Memory budgets of tables: a size such as `10MB`, or a fraction such as `0.1` of the full table."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from recsys.config.problems import shorten
from recsys.errors import ConfigError
from recsys.units import BYTES_PATTERN, parse_bytes

__all__ = ["Budget", "budget_bytes", "read_budget"]


def budget_bytes(budget: str | float, full: int | None) -> int | None:
    """Return a budget in bytes; None for a fraction of a table whose size nobody knows.

    Args:
        budget: "10MB", "1.5GiB", ..., or a fraction of the full table.
        full: bytes of the full table; None if a vocabulary is open.

    >>> budget_bytes("1.5 kB", None), budget_bytes(0.1, 4000)
    (1500, 400)
    """
    if isinstance(budget, str):
        return parse_bytes(budget)
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
        parse_bytes(value)
        return value
    if not 0 < value <= 1:
        got = f"{value:g}" if isinstance(value, float) else shorten(str(value))
        raise ValueError(f"a number without a unit is a fraction of the full table, in (0, 1]; got {got}")
    return float(value)


Budget = Annotated[
    str | float,
    BeforeValidator(_check),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": BYTES_PATTERN},
                {"exclusiveMinimum": 0, "maximum": 1, "type": "number"},
            ]
        }
    ),
]
"""Bytes of a table as it is served ("10MB"), or a fraction of the full table's (0.1)."""
