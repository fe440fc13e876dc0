"""The schemes and searches that can be compared, by their names on the command line."""

from collections.abc import Iterable
from typing import NamedTuple

from recsys.config import did_you_mean
from recsys.config.budget import read_budget
from recsys.config.schemes import SCHEMES
from recsys.config.variants import Variant, all_variants
from recsys.errors import ConfigError
from recsys.search.methods import METHODS

__all__ = ["SearchVariant", "choose_variants", "known_variants", "parse_budgets"]


class SearchVariant(NamedTuple):
    """A method that searches for tables of the bytes of a budget, starting from a full table for each feature."""

    name: str
    """Name of the method."""

    @property
    def num_stages(self) -> int:
        """Stages of its training: the supernet has two at most, and what was found is trained after it."""
        return 3


def known_variants() -> dict[str, Variant | SearchVariant]:
    """Return all that can be compared: the schemes, and the searches after them."""
    return {**all_variants(), **{name: SearchVariant(name) for name in METHODS}}


def choose_variants(text: str) -> list[Variant | SearchVariant]:
    """Return the variants of "all" or of "a,b,c", schemes in the order of the configuration's, then searches.

    All are all schemes: a search takes as long as several of them, so it is compared if it is named.

    Raises:
        ConfigError: a name is unknown, or its scheme is not told by a budget alone.
    """
    known = known_variants()
    names = [
        name
        for part in text.split(",")
        for name in (all_variants() if part.strip() == "all" else [part.strip()])
        if name
    ]
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
