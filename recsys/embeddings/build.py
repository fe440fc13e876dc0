"""From a table of the plan to its schemes, a budget solved on the way. Needs torch, but not torchrec."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from recsys.config import CustomTable, ResolvedTable
from recsys.config.budget import budget_bytes
from recsys.config.tables import Table, table_sections
from recsys.embeddings.scheme import FeatureVocabulary, Scheme
from recsys.embeddings.schemes.adaptemb import AdaptEmb
from recsys.embeddings.schemes.alpt import Alpt
from recsys.embeddings.schemes.dedup import Dedup
from recsys.embeddings.schemes.deeplight import DeepLight
from recsys.embeddings.schemes.dhe import Dhe
from recsys.embeddings.schemes.dpq import Dpq
from recsys.embeddings.schemes.full import Full
from recsys.embeddings.schemes.hash import Hash
from recsys.embeddings.schemes.integer import Integer
from recsys.embeddings.schemes.md import Md
from recsys.embeddings.schemes.mgqe import Mgqe
from recsys.embeddings.schemes.multi_hash import MultiHash
from recsys.embeddings.schemes.qr import Qr
from recsys.embeddings.schemes.robe import Robe
from recsys.embeddings.schemes.tt_rec import TtRec
from recsys.embeddings.schemes.unified import Unified
from recsys.errors import ConfigError
from recsys.registry import load_class
from recsys.units import format_bytes

__all__ = ["SCHEMES", "UnreachableError", "build_schemes", "full_bytes", "scheme_class", "solve"]

SCHEMES: dict[str, type[Scheme]] = {
    "full": Full,
    "dedup": Dedup,
    "deeplight": DeepLight,
    "qr": Qr,
    "tt_rec": TtRec,
    "md": Md,
    "adaptemb": AdaptEmb,
    "hash": Hash,
    "unified": Unified,
    "robe": Robe,
    "multi_hash": MultiHash,
    "dhe": Dhe,
    "dpq": Dpq,
    "mgqe": Mgqe,
    "int8": Integer,
    "int16": Integer,
    "alpt": Alpt,
}


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
    kind = scheme_class(table)
    is_open = [vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None]
    if is_open and not kind.takes_open:
        raise ConfigError(
            f"tables.{table.name}: scheme {table.spec.scheme} takes no open vocabulary, which {is_open[0]!r} has"
        )
    try:
        spec = solve(table, vocabularies)
    except UnreachableError as error:
        able = ", ".join(others_that_reach(table, vocabularies, error.budget)) or "none"
        raise ConfigError(f"{error}; schemes that can reach the budget: {able}") from error
    return kind.parts(table.name, vocabularies, table.dim, spec)


def scheme_class(table: ResolvedTable) -> type[Scheme]:
    """Return the class that a table's section names.

    Raises:
        ConfigError: a class of the user's own cannot be found.
    """
    name = table.spec.scheme
    if isinstance(table.spec, CustomTable):
        custom: type[Scheme] = load_class(name, Scheme, where=f"tables.{table.name}.scheme")  # type: ignore[type-abstract]
        return custom
    return SCHEMES[name]


def solve(table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]) -> Table:
    """Return the table's section with its budget turned into the largest knob that keeps to it.

    Raises:
        UnreachableError: no setting of the knob does.
        ConfigError: the budget is a fraction of a vocabulary that is open.
    """
    spec = table.spec
    budget = getattr(spec, "budget", None)
    if budget is None:
        return spec
    kind, where = scheme_class(table), f"tables.{table.name}.budget"
    allowed = budget_bytes(budget, full_bytes(vocabularies, table.dim))
    if allowed is None:
        name = next(vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None)
        raise ConfigError(
            f"{where}: {name!r} has an open vocabulary, of which no fraction can be taken; give bytes, e.g. 10MB"
        )
    if spec.knob is None:
        cost = kind.cost(vocabularies, table.dim, spec)
        if cost > allowed:
            raise UnreachableError(where, spec.scheme, allowed, cost)
        return spec
    settings = kind.settings(vocabularies, table.dim, spec)

    knob = spec.knob

    def at(i: int) -> Table:
        return spec.model_copy(update={knob: settings[i], "budget": None})

    low, high = 0, len(settings) - 1  # the last setting is the cheapest
    if (floor := kind.cost(vocabularies, table.dim, at(high))) > allowed:
        raise UnreachableError(where, spec.scheme, allowed, floor)
    while low < high:  # the first setting that is cheap enough
        middle = (low + high) // 2
        if kind.cost(vocabularies, table.dim, at(middle)) <= allowed:
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
    for name, section in table_sections().items():
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
