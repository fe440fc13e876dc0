"""The grid of trainings: which scheme reaches which budget, at which size, and the cells that follow from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from recsys.config import Config, resolve
from recsys.config.budget import budget_bytes
from recsys.config.schemes import TableSection
from recsys.config.seeds import with_seed
from recsys.config.variants import Variant
from recsys.data.prepared import Prepared
from recsys.embeddings import FeatureVocabulary
from recsys.embeddings.budget import UnreachableError, full_bytes, solve_budget
from recsys.embeddings.vocabularies import feature_vocabularies
from recsys.errors import ConfigError
from recsys.scheme_benchmark.variants import SearchVariant
from recsys.units import format_bytes

__all__ = ["Cell", "Grid", "GridEntry", "SearchedTables", "make_grid"]

TABLE = "all"
"""Name of the one table that holds every feature."""


@dataclass(frozen=True, kw_only=True)
class SearchedTables:
    """Tables that a search has yet to find: what stands in the place of a table's section."""

    size_param: ClassVar[str] = "bytes"
    method: str
    bytes: int
    """Most bytes of all tables when served."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One training: a scheme at a size, or the tables that a search finds, with a seed."""

    variant: str
    """Name of the `Variant`."""
    spec: TableSection | SearchedTables
    """The section of the table, with the size that was computed from the budget; or what a search is asked for."""
    seed: int

    @property
    def size_param(self) -> str | None:
        """The key of the section that sets the size of the table; None if the scheme has one size."""
        return self.spec.size_param

    @property
    def size_value(self) -> float | None:
        """The value of that key."""
        return None if self.size_param is None else getattr(self.spec, self.size_param)

    @property
    def name(self) -> str:
        """Name of its files; it has the size and not the budget, since several budgets may lead to one training."""
        size = "" if self.size_param is None else f"-{self.size_param}-{self.size_value}"
        return f"{self.variant.replace('/', '-')}{size}-seed-{self.seed}"

    def config(self, base: Config) -> Config:
        """Return `base` with every feature in one table of this scheme, and this seed.

        A search starts from a full table for each feature.
        """
        tables = {} if isinstance(self.spec, SearchedTables) else {TABLE: self.spec}
        return with_seed(base.replaced(tables=tables), self.seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class GridEntry:
    """One scheme at one budget."""

    variant: str
    """Name of the `Variant`."""
    budget: str | None
    """Budget as the report shows it; None for the full table, which all others are compared with."""
    allowed: int | None
    """The budget in bytes."""
    spec: TableSection | SearchedTables | None = None
    """The section of the table, or what a search is asked for; None if the scheme cannot be made as small as the
    budget."""
    reason: str = ""
    """Reason why it cannot."""

    def cells(self, seeds: Iterable[int]) -> list[Cell]:
        """Return one training for each seed; none if the budget cannot be reached."""
        if self.spec is None:
            return []
        return [Cell(variant=self.variant, spec=self.spec, seed=seed) for seed in seeds]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """All schemes at all budgets, and the seeds."""

    entries: list[GridEntry]
    seeds: list[int]
    full_bytes: int | None
    """Bytes of a table with a row for each id; None if a vocabulary is open."""

    def cells(self) -> list[Cell]:
        """Return every training once, seed by seed: the first seed alone fills all tables of the report."""
        cells = [cell for seed in self.seeds for entry in self.entries for cell in entry.cells([seed])]
        return list({cell.name: cell for cell in cells}.values())


def make_grid(
    prepared: Prepared, variants: Sequence[Variant | SearchVariant], budgets: Sequence[str | float], *, seeds: int
) -> Grid:
    """Compute for every scheme the size that each budget allows.

    Args:
        prepared: the data; the configuration in it is the base of all cells.
        variants: the schemes to compare.
        budgets: bytes ("10MB"), or fractions of the full table.
        seeds: number of seeds; the first is `train.seed`.

    Raises:
        ConfigError: there is nothing to compress, or a fraction is asked of vocabularies that are open.
    """
    resolved = prepared.resolved
    vocabularies = list(feature_vocabularies(resolved, prepared.state).values())
    if not vocabularies:
        raise ConfigError("features: none has ids, so there is no table to compress")
    full = full_bytes(vocabularies, resolved.config.model.dim)
    is_open = next((vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None), None)
    fraction = next((budget for budget in budgets if not isinstance(budget, str)), None)
    if is_open is not None and fraction is not None:
        raise ConfigError(
            f"--budgets: {is_open!r} has an open vocabulary, of which no fraction ({fraction:g}) can be taken; "
            "give bytes, e.g. 10MB"
        )
    entries = []
    for budget in (None, *sorted(budgets, key=lambda one: -(budget_bytes(one, full) or 0))):
        for variant in variants:
            if (variant.name == "full") == (budget is None):
                entries.append(_make_entry(resolved.config, vocabularies, variant, budget, full))
    first = resolved.config.train.seed
    return Grid(entries=entries, seeds=list(range(first, first + seeds)), full_bytes=full)


def _make_entry(
    base: Config,
    vocabularies: Sequence[FeatureVocabulary],
    variant: Variant | SearchVariant,
    budget: str | float | None,
    full: int | None,
) -> GridEntry:
    shown = budget if budget is None or isinstance(budget, str) else f"{budget:g}"
    allowed = None if budget is None else budget_bytes(budget, full)
    try:
        spec = _spec(base, vocabularies, variant, budget, allowed)
        return GridEntry(variant=variant.name, budget=shown, allowed=allowed, spec=spec)
    except UnreachableError as error:
        share = f", {error.floor / full:.2g} of full" if full else ""
        reason = f"the least it can be is {format_bytes(error.floor)}{share}"
    except ConfigError as error:
        reason = str(error)
    return GridEntry(variant=variant.name, budget=shown, allowed=allowed, reason=reason)


def _spec(
    base: Config,
    vocabularies: Sequence[FeatureVocabulary],
    variant: Variant | SearchVariant,
    budget: str | float | None,
    allowed: int | None,
) -> TableSection | SearchedTables:
    """Return the section of the table at a budget, or what a search is asked for."""
    if isinstance(variant, SearchVariant):
        _check_closed(vocabularies)
        assert allowed is not None, "only the full table has no budget"
        return SearchedTables(method=variant.name, bytes=allowed)
    return _solve_budget(base, vocabularies, variant.section(budget))


def _check_closed(vocabularies: Sequence[FeatureVocabulary]) -> None:
    is_open = next((vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None), None)
    if is_open is not None:
        raise ConfigError(f"it takes no open vocabulary, which {is_open!r} has")


def _solve_budget(base: Config, vocabularies: Sequence[FeatureVocabulary], spec: TableSection) -> TableSection:
    """Return the section with a size in the place of its budget."""
    if not spec.takes_open:
        _check_closed(vocabularies)
    table = resolve(base.replaced(tables={TABLE: spec}), []).tables[0]  # its globs are expanded
    solved = solve_budget(table, vocabularies)
    return solved.model_copy(update={"budget": None}) if hasattr(solved, "budget") else solved
