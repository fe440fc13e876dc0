"""The schemes that can be compared, by their names on the command line."""

from recsys.config import did_you_mean
from recsys.config.budget import read_budget
from recsys.config.variants import Variant, all_variants
from recsys.errors import ConfigError

__all__ = ["choose_variants", "parse_budgets"]


def choose_variants(text: str) -> list[Variant]:
    """Return the variants of "all" or of "a,b,c", in the order of the configuration's schemes.

    Raises:
        ConfigError: a name is unknown.
    """
    known = all_variants()
    names = list(known) if text.strip() == "all" else [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        lines = [f"unknown scheme {name!r}{did_you_mean(name, known)}" for name in unknown]
        raise ConfigError(f"--schemes: {'; '.join(lines)}; known are: {', '.join(known)}")
    if not names:
        raise ConfigError("--schemes: names no scheme")
    return [variant for name, variant in known.items() if name in names]


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
