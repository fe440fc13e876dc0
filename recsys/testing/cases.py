"""The cases that a contract suite tests: the examples that sections give of themselves."""

from collections.abc import Collection
from typing import Any

from recsys.config.section import SectionRegistry

__all__ = ["example_cases"]


def example_cases(
    registry: SectionRegistry[Any], sections: Collection[type], *, separator: str = " "
) -> dict[str, dict[str, Any]]:
    """Return the keys of the examples of sections by a name for each, "NAME EXAMPLE" or "NAME".

    Args:
        registry: where the sections are registered.
        sections: the sections whose examples are returned; if empty, all that are registered.
        separator: what stands between the two parts of a name.
    """
    return {
        f"{name}{separator}{example}".rstrip(separator): {registry.key: name, **keys}
        for name, section in registry.items()
        if not sections or section in sections
        for example, keys in section.examples.items()
    }
