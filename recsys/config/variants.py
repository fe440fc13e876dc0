"""The schemes in the forms in which they can be compared and searched, by their names on the command line."""

from typing import Any, NamedTuple

from recsys.config.schemes import SCHEMES, TableSection

__all__ = ["Variant", "all_variants"]


class Variant(NamedTuple):
    """A scheme with some keys of its section set."""

    name: str
    """E.g. "hash/per_feature"."""
    scheme: str
    keys: dict[str, Any]

    @property
    def num_stages(self) -> int:
        """Stages of its training."""
        return SCHEMES[self.scheme].num_stages

    def section(self, budget: str | float | None) -> TableSection:
        """Return the section of a table that holds every feature; `budget` is left out where the scheme takes none."""
        section = SCHEMES[self.scheme]
        keys = {"features": ("*",), "scheme": self.scheme, **self.keys}
        if "budget" in section.model_fields:
            keys["budget"] = budget
        return section.model_validate(keys)


def all_variants() -> dict[str, Variant]:
    """Return every scheme that needs nothing but a size, and as SCHEME/NAME the variants that its section states.

    Sharing one pool between all features is what feature multiplexing (Coleman et al. 2023) claims to be better, so
    hash/per_feature stands beside hash. The two probes of unified/probes have the bytes and the width of one, and merge
    hardly any ids.
    """
    found: dict[str, Variant] = {}
    for scheme, section in SCHEMES.items():
        if not section.needed_keys():
            found[scheme] = Variant(scheme, scheme, {})
        for variant, keys in section.variants.items():
            name = f"{scheme}/{variant}"
            found[name] = Variant(name, scheme, dict(keys))
    return found
