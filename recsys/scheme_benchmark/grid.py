"""What is to be trained: which scheme reaches which budget, with which knob, and the cells that follow from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recsys.config import Config, FractionSplit, TimeSplit, resolve
from recsys.config.budget import budget_bytes
from recsys.config.schemes import TableSection
from recsys.data.prepared import Prepared
from recsys.embeddings import FeatureVocabulary
from recsys.embeddings.build import UnreachableError, full_bytes, solve
from recsys.embeddings.vocabularies import feature_vocabularies
from recsys.errors import ConfigError
from recsys.scheme_benchmark.variants import Variant
from recsys.units import format_bytes

__all__ = ["Cell", "Entry", "Grid", "make_grid", "with_fixed_split"]

TABLE = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One training."""

    variant: str
    spec: TableSection
    """The section of the table, its budget solved."""
    seed: int

    @property
    def knob(self) -> str | None:
        """The key that sets the size of the table."""
        return self.spec.size_param

    @property
    def value(self) -> float | None:
        """Of the knob."""
        return None if self.knob is None else getattr(self.spec, self.knob)

    @property
    def name(self) -> str:
        """Name of its files: the knob and not the budget, since several budgets may come to the same training."""
        knob = "" if self.knob is None else f"-{self.knob}-{self.value}"
        return f"{self.variant.replace('/', '-')}{knob}-seed-{self.seed}"

    def config(self, base: Config) -> Config:
        """Return the configuration to be trained: `base` with every feature in one table, and this seed."""
        train = base.train.model_copy(update={"seed": self.seed})
        return base.from_source(base.source, tables={TABLE: self.spec}, train=train)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What became of one scheme at one budget."""

    variant: str
    budget: str | None
    """As it is shown; None for the full table, which is held against all of them."""
    allowed: int | None
    """Bytes of the budget."""
    spec: TableSection | None = None
    """None where the budget cannot be reached."""
    reason: str = ""
    """Why it cannot."""

    def cells(self, seeds: Iterable[int]) -> list[Cell]:
        """Return the trainings of this entry."""
        if self.spec is None:
            return []
        return [Cell(variant=self.variant, spec=self.spec, seed=seed) for seed in seeds]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """All of them."""

    entries: list[Entry]
    seeds: list[int]
    full_bytes: int | None
    """Of a row for each id; None with open vocabularies."""

    def cells(self) -> list[Cell]:
        """Return every training once, one seed after the other: the first seed alone fills all tables."""
        cells = [cell for seed in self.seeds for entry in self.entries for cell in entry.cells([seed])]
        return list({cell.name: cell for cell in cells}.values())


def with_fixed_split(config: Config) -> Config:
    """Return the configuration with a split at random that does not follow the seeds of the cells."""
    split = config.data.split or FractionSplit()
    if config.data.valid is not None or isinstance(split, TimeSplit) or split.seed is not None:
        return config
    fixed = split.model_copy(update={"seed": config.train.seed})
    return config.from_source(config.source, data=config.data.model_copy(update={"split": fixed}))


def make_grid(prepared: Prepared, variants: Sequence[Variant], budgets: Sequence[str | float], *, seeds: int) -> Grid:
    """Solve every budget for every scheme.

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
            if (variant.scheme == "full") == (budget is None):
                entries.append(_entry(resolved.config, vocabularies, variant, budget, full))
    first = resolved.config.train.seed
    return Grid(entries=entries, seeds=list(range(first, first + seeds)), full_bytes=full)


def _entry(
    base: Config,
    vocabularies: Sequence[FeatureVocabulary],
    variant: Variant,
    budget: str | float | None,
    full: int | None,
) -> Entry:
    shown = budget if budget is None or isinstance(budget, str) else f"{budget:g}"
    allowed = None if budget is None else budget_bytes(budget, full)
    try:
        return Entry(
            variant=variant.name,
            budget=shown,
            allowed=allowed,
            spec=_solved(base, vocabularies, variant.section(budget)),
        )
    except UnreachableError as error:
        share = f", {error.floor / full:.2g} of full" if full else ""
        reason = f"the least it can be is {format_bytes(error.floor)}{share}"
    except ConfigError as error:
        reason = str(error)
    return Entry(variant=variant.name, budget=shown, allowed=allowed, reason=reason)


def _solved(base: Config, vocabularies: Sequence[FeatureVocabulary], spec: TableSection) -> TableSection:
    """Return the section with its knob in the place of its budget."""
    is_open = next((vocabulary.name for vocabulary in vocabularies if vocabulary.num_ids is None), None)
    if is_open is not None and not spec.takes_open:
        raise ConfigError(f"it takes no open vocabulary, which {is_open!r} has")
    table = resolve(base.from_source(base.source, tables={TABLE: spec}), []).tables[0]  # its globs are expanded
    solved = solve(table, vocabularies)
    return solved.model_copy(update={"budget": None}) if hasattr(solved, "budget") else solved
