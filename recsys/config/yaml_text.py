"""Write single values as YAML text, as a person would."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["LINE_WIDTH", "block_text", "flow_text"]

LINE_WIDTH = 120
_INDENT = 2
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*|\.\./[A-Za-z0-9_./-]+|[0-9]{1,4}-[0-9]{1,4}")
_MEANS_ELSE = re.compile(r"null|true|false|yes|no|on|off|y|n", re.IGNORECASE)
"""Words that are no text, in this version of YAML or an earlier one."""


def flow_text(value: Any) -> str:
    """Write a value on one line.

    >>> flow_text({"features": ("item", "C*"), "dim": 8, "of": None})
    '{features: [item, "C*"], dim: 8, of: null}'
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(_pairs(value))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow_text, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and not _MEANS_ELSE.fullmatch(value)
        return value if is_plain else json.dumps(value, ensure_ascii=not value.isprintable())
    if not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise TypeError(f"a configuration cannot hold {value!r}")
    return repr(value)


def block_text(key: str, value: Any, indent: int, newline: str) -> str:
    """Write a key and its value, on several lines where one would be too long or the value is a section.

    The keys of the root are sections, whose keys have a line each; all that is inside them is written in brackets as
    long as it fits on a line.

    >>> print(block_text("tables", {"a": {"features": ["x"], "dim": 4}, "b": {"features": ["z"]}}, 0, chr(10)))
    tables:
      a: {features: [x], dim: 4}
      b: {features: [z]}
    """
    start = f"{flow_text(key)}:"
    flow = flow_text(value)
    is_short = indent + len(start) + 1 + len(flow) <= LINE_WIDTH
    if isinstance(value, Mapping) and value and (indent == 0 or not is_short):
        lines = (block_text(name, child, indent + _INDENT, newline) for name, child in value.items())
        return newline.join([start, *(" " * (indent + _INDENT) + line for line in lines)])
    if is_short or not isinstance(value, list | tuple):
        return f"{start} {flow}"
    return f"{start} [{_wrapped(map(flow_text, value), indent, len(start) + 2, newline)}]"


def _wrapped(entries: Iterable[str], indent: int, used: int, newline: str) -> str:
    """Write entries side by side, and on further lines where they do not fit."""
    lines, width = [""], indent + used
    for entry in entries:
        if lines[-1] and width + len(entry) + 3 > LINE_WIDTH:
            lines.append("")
            width = indent + 2 * _INDENT
        lines[-1] += f"{entry}, "
        width += len(entry) + 2
    return (newline + " " * (indent + 2 * _INDENT)).join(line.rstrip() for line in lines).removesuffix(",")


def _pairs(value: Mapping[str, Any]) -> Iterable[str]:
    return (f"{flow_text(key)}: {flow_text(child)}" for key, child in value.items())
