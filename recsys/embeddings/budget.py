"""Solving budgets: the largest size of a scheme that keeps to a number of bytes. Needs torch, but not torchrec."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from recsys.config import ResolvedTable
from recsys.config.budget import budget_bytes
from recsys.config.schemes import SCHEMES, TableSection
from recsys.embeddings.scheme import FeatureVocabulary, Scheme
from recsys.errors import ConfigError
from recsys.units import format_bytes

__all__ = ["UnreachableError", "full_bytes", "scheme_class", "schemes_within_budget", "solve_budget"]


class UnreachableError(ConfigError):
    """The least size of a scheme is more than its budget."""

    def __init__(self, where: str, scheme: str, budget: int, floor: int) -> None:
        super().__init__(
            f"{where}: scheme {scheme} cannot be made as small as {format_bytes(budget)}; "
            f"the least it can be is {format_bytes(floor)}"
        )
        self.budget = f"{budget} B"
        """Budget as a configuration takes it."""
        self.floor = floor
        """Least bytes that the scheme can have."""


def scheme_class(spec: TableSection, *, where: str = "tables") -> type[Scheme]:
    """Return the class that a table's section configures.

    Args:
        spec: Section of the table.
        where: Key that names the scheme, for messages.

    Raises:
        ConfigError: A class of the user's own cannot be found.
    """
    return SCHEMES.implementation(spec, Scheme, where=where)  # type: ignore[type-abstract]


def solve_budget(table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]) -> TableSection:
    """Return the table's section, with its budget replaced by the largest size that keeps to it.

    Raises:
        UnreachableError: No size keeps to the budget.
        ConfigError: The budget is a fraction, and a vocabulary is open.
    """
    spec = table.spec
    budget = getattr(spec, "budget", None)
    if budget is None:
        return spec
    kind, where = scheme_class(spec), f"tables.{table.name}.budget"
    allowed = budget_bytes(budget, full_bytes(vocabularies, table.dim))
    if allowed is None:
        name = next(vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None)
        raise ConfigError(
            f"{where}: {name!r} has an open vocabulary, of which no fraction can be taken; give bytes, e.g. 10MB"
        )

    param = spec.size_param
    values = [None] if param is None else kind.size_candidates(vocabularies, table.dim, spec)

    def sized(i: int) -> TableSection:
        return spec if param is None else spec.model_copy(update={param: values[i], "budget": None})

    def size_of(i: int) -> int:
        return kind.size_for(vocabularies, table.dim, sized(i))

    last = len(values) - 1
    if (floor := size_of(last)) > allowed:
        raise UnreachableError(where, spec.scheme, allowed, floor)
    return sized(_first(last, lambda i: size_of(i) <= allowed))


def _first(last: int, holds: Callable[[int], bool]) -> int:
    """Return the first index for which `holds`, by bisection; it must hold for all later ones up to `last`."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def schemes_within_budget(
    table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary], budget: str | float
) -> list[str]:
    """Return the other schemes that can keep to a budget for a table, with their other keys at their defaults."""
    found = []
    is_open = any(vocabulary.num_ids is None for vocabulary in vocabularies)
    for name, section in SCHEMES.items():
        is_able = "budget" in section.model_fields and (section.takes_open or not is_open)
        if name == table.spec.scheme or not is_able:
            continue
        spec: Any = section.model_validate({"features": table.spec.features, "scheme": name, "budget": budget})
        try:
            solve_budget(replace(table, spec=spec), vocabularies)
        except ConfigError:
            continue
        found.append(name)
    return found


def full_bytes(vocabularies: Sequence[FeatureVocabulary], dim: int) -> int | None:
    """Return the bytes of a full table, with a row of fp32 for each id; None if a vocabulary is open."""
    sizes = [vocabulary.num_ids for vocabulary in vocabularies]
    return None if None in sizes else sum(4 * dim * (size or 0) for size in sizes)
