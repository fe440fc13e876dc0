"""Builds the schemes of a table of the configuration, computing sizes from budgets. Needs torch, but not torchrec."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from recsys.config import ResolvedTable
from recsys.config.budget import budget_bytes
from recsys.config.schemes import SCHEMES, TableSection
from recsys.embeddings.scheme import FeatureVocabulary, Scheme
from recsys.errors import ConfigError
from recsys.units import format_bytes

__all__ = ["UnreachableError", "build_schemes", "full_bytes", "register_scheme", "scheme_class", "solve"]


class UnreachableError(ConfigError):
    """A scheme cannot be made as small as its budget."""

    def __init__(self, where: str, scheme: str, budget: int, floor: int) -> None:
        super().__init__(
            f"{where}: scheme {scheme} cannot be made as small as {format_bytes(budget)}; "
            f"the least it can be is {format_bytes(floor)}"
        )
        self.budget = f"{budget} B"
        """As a configuration takes it."""
        self.floor = floor
        """Least bytes that the scheme can reach."""


def build_schemes(table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]) -> list[Scheme]:
    """Return the schemes that store a table: one, or several if its features are stored apart.

    Raises:
        ConfigError: a class of the user's own cannot be found, takes no open vocabulary and is given one, or the budget
            cannot be reached; then the schemes that can reach it are named.
    """
    kind = scheme_class(table.spec, where=f"tables.{table.name}.scheme")
    is_open = [vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None]
    if is_open and not table.spec.takes_open:
        raise ConfigError(
            f"tables.{table.name}: scheme {table.spec.scheme} takes no open vocabulary, which {is_open[0]!r} has"
        )
    try:
        spec = solve(table, vocabularies)
    except UnreachableError as error:
        able = ", ".join(others_that_reach(table, vocabularies, error.budget)) or "none"
        raise ConfigError(f"{error}; schemes that can reach the budget: {able}") from error
    return kind.build(table.name, vocabularies, table.dim, spec)


def scheme_class(spec: TableSection, *, where: str = "tables") -> type[Scheme]:
    """Return the class that a table's section configures.

    Args:
        spec: the section.
        where: the key that names the scheme, for messages.

    Raises:
        ConfigError: a class of the user's own cannot be found.
    """
    return SCHEMES.implementation(spec, Scheme, where=where)  # type: ignore[type-abstract]


def register_scheme(scheme: type[Scheme]) -> type[Scheme]:
    """Make a scheme usable by the name that its `section` states, and return it; also a class decorator.

    Raises:
        ConfigError: it has no section of its own, or the name is taken.
    """
    SCHEMES.add_class(scheme)
    return scheme


def solve(table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]) -> TableSection:
    """Return the table's section with its budget replaced by the largest size that keeps to it.

    Raises:
        UnreachableError: no size does.
        ConfigError: the budget is a fraction of a vocabulary that is open.
    """
    spec = table.spec
    budget = getattr(spec, "budget", None)
    if budget is None:
        return spec
    kind, where = scheme_class(table.spec), f"tables.{table.name}.budget"
    allowed = budget_bytes(budget, full_bytes(vocabularies, table.dim))
    if allowed is None:
        name = next(vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None)
        raise ConfigError(
            f"{where}: {name!r} has an open vocabulary, of which no fraction can be taken; give bytes, e.g. 10MB"
        )
    if spec.size_param is None:
        cost = kind.size_for(vocabularies, table.dim, spec)
        if cost > allowed:
            raise UnreachableError(where, spec.scheme, allowed, cost)
        return spec
    candidates = kind.size_candidates(vocabularies, table.dim, spec)

    size_param = spec.size_param

    def at(i: int) -> TableSection:
        return spec.model_copy(update={size_param: candidates[i], "budget": None})

    low, high = 0, len(candidates) - 1  # the last setting is the cheapest
    if (floor := kind.size_for(vocabularies, table.dim, at(high))) > allowed:
        raise UnreachableError(where, spec.scheme, allowed, floor)
    while low < high:  # the first setting that is cheap enough
        middle = (low + high) // 2
        if kind.size_for(vocabularies, table.dim, at(middle)) <= allowed:
            high = middle
        else:
            low = middle + 1
    return at(low)


def others_that_reach(
    table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary], budget: str | float
) -> list[str]:
    """Return the other schemes that can keep to a budget for a table, with their other keys at their defaults."""
    able = []
    takes_open = any(vocabulary.num_ids is None for vocabulary in vocabularies)
    for name, section in SCHEMES.items():
        is_able = "budget" in section.model_fields and (section.takes_open or not takes_open)
        if name == table.spec.scheme or not is_able:
            continue
        spec: Any = section.model_validate({"features": table.spec.features, "scheme": name, "budget": budget})
        try:
            solve(replace(table, spec=spec), vocabularies)
        except (UnreachableError, ConfigError):
            continue
        able.append(name)
    return able


def full_bytes(vocabularies: Sequence[FeatureVocabulary], dim: int) -> int | None:
    """Return the bytes of a row for each id; None if a vocabulary is open."""
    sizes = [vocabulary.num_ids for vocabulary in vocabularies]
    return None if None in sizes else sum(4 * dim * (size or 0) for size in sizes)
