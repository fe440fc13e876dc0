"""The cost of the tables of a configuration before training: bytes in each phase, and ids that collide."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from recsys.config import FullTable, ResolvedConfig, ResolvedTable
from recsys.config.budget import budget_bytes
from recsys.config.schemes import SCHEMES, TableSection
from recsys.embeddings.budget import UnreachableError, full_bytes, scheme_class, solve_budget
from recsys.embeddings.build import build_schemes
from recsys.embeddings.collisions import Collisions, collisions_of, expected_colliding_ids, is_countable
from recsys.embeddings.scheme import FeatureVocabulary, Phase, Scheme, bytes_by_phase
from recsys.embeddings.vocabularies import feature_vocabularies, vocabularies_by_table
from recsys.errors import ConfigError
from recsys.features.state import TransformState

__all__ = [
    "BudgetComparison",
    "SchemeAtBudget",
    "SchemeCost",
    "VocabularyCost",
    "compare_at_budget",
    "table_costs",
    "total_bytes",
]


@dataclass(frozen=True, slots=True)
class SchemeCost:
    """Bytes of one scheme, which stores a table of the configuration or a part of it."""

    table: str
    """Table of the configuration."""
    name: str
    scheme: str
    """Name of the scheme's section."""
    rows: str
    """Rows x width of what the scheme trains, for people."""
    bytes: dict[Phase, int]
    full_bytes: int | None
    """Bytes of a full table of the same ids; None if a vocabulary is open."""


@dataclass(frozen=True, slots=True)
class VocabularyCost:
    """The place of the embeddings of one vocabulary, and how many of its ids collide."""

    name: str
    """Field that owns the vocabulary."""
    sequences: tuple[str, ...]
    """Other fields that share it."""
    scheme: str
    """Name of the scheme's section."""
    width: int
    """Width of its embeddings, in floats."""
    num_ids: int | None
    """Number of ids; None for an open vocabulary."""
    collisions: Collisions


@dataclass(frozen=True, slots=True)
class SchemeAtBudget:
    """A scheme that is as large as a budget allows."""

    scheme: str
    size: str
    """Size parameter as in a configuration, e.g. "rows: 1234"; "" if there is none, or the budget is out of reach."""
    bytes: dict[Phase, int]
    """Bytes in each phase; empty if the budget is out of reach."""
    expected_collisions: float | None
    """Expected number of colliding ids in all closed vocabularies; None if training decides."""
    note: str
    """Reason why it cannot be built, or in how many stages it trains."""
    floor: int | None = None
    """Least bytes that the scheme can have, if the budget is out of reach."""


class BudgetComparison(NamedTuple):
    """All schemes at one budget, each for all ids of a configuration in one table."""

    vocabularies: list[FeatureVocabulary]
    dim: int
    budget: int
    """Budget in bytes."""
    full_bytes: int | None
    """Bytes of a full table; None if a vocabulary is open."""
    schemes: list[SchemeAtBudget]
    """`full` first; then those within the budget, by their bytes in training; then the others."""


def table_costs(resolved: ResolvedConfig, state: TransformState) -> tuple[list[SchemeCost], list[VocabularyCost]]:
    """Return the cost of each scheme of a configuration, and of each vocabulary.

    Raises:
        ConfigError: A table cannot be built as configured, for example because its budget is too small.
    """
    vocabularies, costs, by_vocabulary = vocabularies_by_table(resolved, state), [], []
    for table in resolved.tables:
        with resolved.config.source.locating():
            schemes = _build_cheaply(table, vocabularies[table.name])
        costs += [_scheme_cost(resolved, table, scheme) for scheme in schemes]
        by_vocabulary += _vocabulary_costs(resolved, state, schemes)
    order = [field.name for field in resolved.fields]
    return costs, sorted(by_vocabulary, key=lambda cost: order.index(cost.name))


def total_bytes(resolved: ResolvedConfig, state: TransformState) -> dict[str, dict[Phase, int]]:
    """Return the bytes of each table of a configuration in each phase, by the table's name; collisions are not counted.

    Raises:
        ConfigError: A table cannot be built as configured.
    """
    vocabularies = vocabularies_by_table(resolved, state)
    with torch.device("meta"), resolved.config.source.locating():
        return {
            table.name: bytes_by_phase(build_schemes(table, vocabularies[table.name]), resolved.config.train)
            for table in resolved.tables
        }


def compare_at_budget(resolved: ResolvedConfig, state: TransformState, budget: str | float) -> BudgetComparison:
    """Return what every scheme makes of one budget for all ids of a configuration in one table.

    Raises:
        ConfigError: No feature has ids, or the budget is a fraction and a vocabulary is open.
    """
    vocabularies, dim = list(feature_vocabularies(resolved, state).values()), resolved.config.model.dim
    if not vocabularies:
        raise ConfigError("features: none has ids, so there is nothing to store")
    full = full_bytes(vocabularies, dim)
    allowed = budget_bytes(budget, full)
    if allowed is None:
        name = next(vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None)
        raise ConfigError(f"--what-if: {name!r} has an open vocabulary, of which no fraction can be taken; give bytes")
    names = tuple(vocabulary.name for vocabulary in vocabularies)
    fields = tuple(field.name for field in resolved.fields if field.has_ids)
    table = ResolvedTable(name="all", fields=fields, dim=dim, spec=FullTable(features=names))
    found = []
    for name, section in SCHEMES.items():
        if "budget" in section.model_fields:
            spec: Any = section.model_validate({"features": names, "scheme": name, "budget": budget})
            found.append(_at_budget(resolved, replace(table, spec=spec), vocabularies))
    found.sort(key=lambda one: (not one.bytes, one.floor is None, one.bytes.get("training", one.floor or 0)))
    first = [] if full is None else [_at_budget(resolved, table, vocabularies)]
    return BudgetComparison(vocabularies, dim, allowed, full, first + found)


def _at_budget(
    resolved: ResolvedConfig, table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]
) -> SchemeAtBudget:
    kind, name = scheme_class(table.spec), table.spec.scheme
    if not table.spec.takes_open and any(vocabulary.num_ids is None for vocabulary in vocabularies):
        return SchemeAtBudget(name, "", {}, None, "takes no open vocabulary")
    try:
        spec = solve_budget(table, vocabularies)
    except UnreachableError as error:
        return SchemeAtBudget(name, "", {}, None, "cannot be made smaller", error.floor)
    with torch.device("meta"):
        schemes = kind.build(table.name, vocabularies, table.dim, spec)
    closed = [(scheme, i) for scheme in schemes for i, known in enumerate(scheme.vocabularies) if known.num_ids]
    expected = [expected_colliding_ids(scheme, i) for scheme, i in closed]
    total = None if None in expected else sum(value or 0 for value in expected)
    note = f"trains in {spec.num_stages} stages" if spec.num_stages > 1 else ""
    return SchemeAtBudget(name, _size(spec), bytes_by_phase(schemes, resolved.config.train), total, note)


def _size(spec: TableSection) -> str:
    if spec.size_param is None:
        return ""
    value = getattr(spec, spec.size_param)
    return f"{spec.size_param}: {f'{value:.4g}' if isinstance(value, float) else value}"


def _scheme_cost(resolved: ResolvedConfig, table: ResolvedTable, scheme: Scheme) -> SchemeCost:
    return SchemeCost(
        table=table.name,
        name=scheme.name,
        scheme=scheme.spec.scheme,
        rows=_shapes(scheme),
        bytes=bytes_by_phase([scheme], resolved.config.train),
        full_bytes=full_bytes(scheme.vocabularies, table.dim),
    )


def _shapes(scheme: Scheme) -> str:
    """Describe a scheme's physical tables, or its own tensors if it has none: "549 x 16 + 11 x 16"."""
    shapes, noun = [f"{table.rows:,} x {table.dim}" for table in scheme.physical_tables()], "tables"
    if not shapes:
        own = [tensor for tensor in (*scheme.parameters(), *scheme.buffers()) if tensor.dim() > 1]
        shapes, noun = [" x ".join(f"{size:,}" for size in tensor.shape) for tensor in own], "tensors"
    return " + ".join(shapes) if len(shapes) <= 2 else f"{len(shapes)} {noun}"


def _build_cheaply(table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]) -> list[Scheme]:
    """Return the schemes of a table, on the meta device unless collisions are counted: some hold large tensors."""
    with torch.device("meta"):
        schemes = build_schemes(table, vocabularies)
    counts = any(is_countable(scheme, i) for scheme in schemes for i in range(len(scheme.vocabularies)))
    return build_schemes(table, vocabularies) if counts else schemes


def _vocabulary_costs(
    resolved: ResolvedConfig, state: TransformState, schemes: Sequence[Scheme]
) -> list[VocabularyCost]:
    found = []
    for scheme in schemes:
        for i, vocabulary in enumerate(scheme.vocabularies):
            fields = (field.name for field in resolved.fields if field.vocabulary == vocabulary.name)
            counts = state.vocabularies[vocabulary.name].counts if vocabulary.name in state.vocabularies else None
            found.append(
                VocabularyCost(
                    name=vocabulary.name,
                    sequences=tuple(field for field in fields if field != vocabulary.name),
                    scheme=scheme.spec.scheme,
                    width=scheme.width(i),
                    num_ids=vocabulary.num_ids,
                    collisions=collisions_of(scheme, i, counts=counts),
                )
            )
    return found
