"""The schemes that can be compared, by their names on the command line."""

from typing import Any, NamedTuple

from recsys.config import did_you_mean
from recsys.config.budget import read_budget
from recsys.config.schemes import SCHEMES, TableSection
from recsys.errors import ConfigError

__all__ = ["Variant", "all_variants", "choose_variants", "parse_budgets"]


class Variant(NamedTuple):
    """A scheme with some keys of its section set."""

    name: str
    """E.g. "hash/per_feature"."""
    scheme: str
    keys: dict[str, Any]

    def section(self, budget: str | float | None) -> TableSection:
        """Return the section of a table that holds every feature; `budget` is left out where the scheme takes none."""
        section = SCHEMES[self.scheme]
        keys = {"features": ("*",), "scheme": self.scheme, **self.keys}
        if "budget" in section.model_fields:
            keys["budget"] = budget
        return section.model_validate(keys)


def all_variants() -> dict[str, Variant]:
    """Return every scheme, and as SCHEME/NAME the variants that its section states.

    Sharing one pool between all features is what feature multiplexing (Coleman et al. 2023) claims to be better, so
    hash/per_feature stands beside hash. The two probes of unified/probes have the bytes and the width of one, and merge
    hardly any ids.
    """
    found: dict[str, Variant] = {}
    for scheme, section in SCHEMES.items():
        found[scheme] = Variant(scheme, scheme, {})
        for variant, keys in section.variants.items():
            name = f"{scheme}/{variant}"
            found[name] = Variant(name, scheme, dict(keys))
    return found


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
