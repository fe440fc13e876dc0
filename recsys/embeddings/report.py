"""What the tables of a plan cost, before anything is trained: bytes, and ids that share all of their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from recsys.config import FullTable, ResolvedConfig, ResolvedTable
from recsys.config.budget import budget_bytes
from recsys.config.schemes import SCHEMES, TableSection
from recsys.embeddings.build import UnreachableError, build_schemes, full_bytes, scheme_class, solve
from recsys.embeddings.collisions import Sharing, expected_sharing, is_counted, sharing
from recsys.embeddings.scheme import FeatureVocabulary, Phase, Scheme, bytes_by_phase
from recsys.embeddings.vocabularies import feature_vocabularies, vocabularies_by_table
from recsys.errors import ConfigError
from recsys.features.state import TransformState

__all__ = ["Candidate", "Part", "Use", "WhatIf", "report", "what_if"]


@dataclass(frozen=True, slots=True)
class Part:
    """What is stored by itself: a table, or a part of one."""

    table: str
    """Of the plan."""
    name: str
    scheme: str
    rows: str
    """Rows x width of what the scheme trains."""
    bytes: dict[Phase, int]
    full: int | None
    """Bytes of a row for each id; None if a vocabulary is open."""


@dataclass(frozen=True, slots=True)
class Use:
    """A vocabulary and where its vectors come from."""

    name: str
    """Field that owns it."""
    sequences: tuple[str, ...]
    """Fields that share it."""
    part: str
    scheme: str
    width: int
    num_ids: int | None
    sharing: Sharing


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scheme, made as large as a budget allows."""

    scheme: str
    knob: str
    """As in a configuration, e.g. "rows: 1234"; "" if the scheme has none, or cannot be built."""
    bytes: dict[Phase, int]
    """Empty if it cannot be built within the budget."""
    expected: float | None
    """Ids of all known vocabularies that share all of their rows; None where chance does not decide."""
    note: str
    """Why it cannot be built, or what else it takes."""
    floor: int | None = None
    """Least bytes that it could have, where that is more than the budget."""


class WhatIf(NamedTuple):
    """All schemes at one budget."""

    vocabularies: list[FeatureVocabulary]
    dim: int
    budget: int
    """In bytes."""
    full: int | None
    """Bytes of a row for each id; None if a vocabulary is open."""
    candidates: list[Candidate]
    """`full` first; then those that can be built, by the bytes of their training; then the others."""


def report(resolved: ResolvedConfig, state: TransformState) -> tuple[list[Part], list[Use]]:
    """Return what the tables of a plan store, and who reads it.

    Raises:
        ConfigError: a table cannot be built as the configuration says, e.g. its budget is below what it can reach.
    """
    vocabularies, parts, uses = vocabularies_by_table(resolved, state), [], []
    for table in resolved.tables:
        schemes = _built(table, vocabularies[table.name])
        for scheme in schemes:
            full = full_bytes(scheme.vocabularies, table.dim)
            parts.append(
                Part(
                    table.name,
                    scheme.name,
                    scheme.spec.scheme,
                    _rows(scheme),
                    bytes_by_phase([scheme], resolved.config.train),
                    full,
                )
            )
        uses += _uses(resolved, state, schemes)
    order = [field.name for field in resolved.fields]
    return parts, sorted(uses, key=lambda use: order.index(use.name))


def what_if(resolved: ResolvedConfig, state: TransformState, budget: str | float) -> WhatIf:
    """Return what every scheme makes of one budget for all ids of a plan in one table.

    Raises:
        ConfigError: no feature has ids, or the budget is a fraction, of which there is none of an open vocabulary.
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
            found.append(_candidate(resolved, replace(table, spec=spec), vocabularies))
    found.sort(key=lambda one: (not one.bytes, one.floor is None, one.bytes.get("training", one.floor or 0)))
    first = [] if full is None else [_candidate(resolved, table, vocabularies)]
    return WhatIf(vocabularies, dim, allowed, full, first + found)


def _candidate(resolved: ResolvedConfig, table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]) -> Candidate:
    kind, name = scheme_class(table.spec), table.spec.scheme
    if not table.spec.takes_open and any(vocabulary.num_ids is None for vocabulary in vocabularies):
        return Candidate(name, "", {}, None, "takes no open vocabulary")
    try:
        spec = solve(table, vocabularies)
    except UnreachableError as error:
        return Candidate(name, "", {}, None, "cannot be made smaller", error.floor)
    with torch.device("meta"):
        schemes = kind.build(table.name, vocabularies, table.dim, spec)
    known = [
        (part, place) for part in schemes for place, vocabulary in enumerate(part.vocabularies) if vocabulary.num_ids
    ]
    expected = [expected_sharing(part, place) for part, place in known]
    total = None if None in expected else sum(value or 0 for value in expected)
    note = f"trains in {spec.num_stages} stages" if spec.num_stages > 1 else ""
    return Candidate(name, _knob(spec), bytes_by_phase(schemes, resolved.config.train), total, note)


def _knob(spec: TableSection) -> str:
    if spec.size_param is None:
        return ""
    value = getattr(spec, spec.size_param)
    return f"{spec.size_param}: {f'{value:.4g}' if isinstance(value, float) else value}"


def _rows(scheme: Scheme) -> str:
    """Describe the physical tables, or else the tensors of the scheme's own: "549 x 16 + 11 x 16"."""
    shapes, word = [f"{table.rows:,} x {table.dim}" for table in scheme.physical_tables()], "tables"
    if not shapes:
        own = [tensor for tensor in (*scheme.parameters(), *scheme.buffers()) if tensor.dim() > 1]
        shapes, word = [" x ".join(f"{size:,}" for size in tensor.shape) for tensor in own], "tensors"
    return " + ".join(shapes) if len(shapes) <= 2 else f"{len(shapes)} {word}"


def _built(table: ResolvedTable, vocabularies: Sequence[FeatureVocabulary]) -> list[Scheme]:
    """Return the schemes of a table, on the meta device unless rows must be looked at: some hold large tensors."""
    with torch.device("meta"):
        schemes = build_schemes(table, vocabularies)
    looks = any(is_counted(scheme, place) for scheme in schemes for place in range(len(scheme.vocabularies)))
    return build_schemes(table, vocabularies) if looks else schemes


def _uses(resolved: ResolvedConfig, state: TransformState, schemes: Sequence[Scheme]) -> list[Use]:
    found = []
    for scheme in schemes:
        for place, vocabulary in enumerate(scheme.vocabularies):
            fields = (field.name for field in resolved.fields if field.vocabulary == vocabulary.name)
            counts = state.vocabularies[vocabulary.name].counts if vocabulary.name in state.vocabularies else None
            found.append(
                Use(
                    name=vocabulary.name,
                    sequences=tuple(field for field in fields if field != vocabulary.name),
                    part=scheme.name,
                    scheme=scheme.spec.scheme,
                    width=scheme.width(place),
                    num_ids=vocabulary.num_ids,
                    sharing=sharing(scheme, place, counts=counts),
                )
            )
    return found
