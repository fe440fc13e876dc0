"""The schemes that can be compared, by their names on the command line."""

from collections.abc import Iterable

from recsys.config import did_you_mean
from recsys.config.budget import read_budget
from recsys.config.schemes import SCHEMES
from recsys.config.variants import Variant, all_variants
from recsys.errors import ConfigError

__all__ = ["choose_variants", "parse_budgets"]


def choose_variants(text: str) -> list[Variant]:
    """Return the variants of "all" or of "a,b,c", in the order of the configuration's schemes.

    Raises:
        ConfigError: a name is unknown, or its scheme is not told by a budget alone.
    """
    known = all_variants()
    names = list(known) if text.strip() == "all" else [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        lines = [_why_not(name, known) for name in unknown]
        raise ConfigError(f"--schemes: {'; '.join(lines)}; known are: {', '.join(known)}")
    if not names:
        raise ConfigError("--schemes: names no scheme")
    return [variant for name, variant in known.items() if name in names]


def _why_not(name: str, known: Iterable[str]) -> str:
    """Say why a name is none that can be compared."""
    section = SCHEMES.get(name)
    if section is None:
        return f"unknown scheme {name!r}{did_you_mean(name, known)}"
    keys = ", ".join(section.needed_keys())
    return f"scheme {name!r} needs {keys} of your own making, which no budget stands for; train such a table by itself"


def parse_budgets(text: str) -> list[str | float]:
    """Return the budgets of "0.5,10MB".

    >>> parse_budgets("0.5, 10MB")
    [0.5, '10MB']

    Raises:
        ConfigError: one is neither a size nor a fraction.
    """
    budgets = [read_budget(part.strip(), where="--budgets") for part in text.split(",") if part.strip()]
    if not budgets:
        raise ConfigError("--budgets: names no budget")
    return list(dict.fromkeys(budgets))
