"""The bytes that a search may spend: what was asked, what is there, and what cannot be saved."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from recsys.config import ResolvedConfig, resolve
from recsys.config.budget import budget_bytes, read_budget
from recsys.config.changes import with_changes
from recsys.data.prepared import Prepared
from recsys.embeddings.costs import total_bytes
from recsys.embeddings.vocabularies import feature_vocabularies
from recsys.errors import ConfigError
from recsys.features.state import TransformState
from recsys.search.best_yaml import shape_changes
from recsys.search.shape import TableShape
from recsys.search.supernet import is_searchable, rows_precision
from recsys.units import format_bytes

__all__ = ["Bounds", "bounds_of", "ladder", "read_search_budget", "serving_bytes"]

SHARES = (0.75, 0.5, 0.35, 0.25, 0.175, 0.125, 0.0875, 0.0625, 0.03)
"""Shares of the bytes that can be saved, at which candidates are wanted beside the budget."""


class Bounds(NamedTuple):
    """Bytes of all tables when they are served."""

    full: int
    """Bytes of the user's configuration as it is."""
    whole: int
    """Bytes of the same rows in the precision that the search gives them."""
    fixed: int
    """Bytes of the tables that the search leaves as they are."""
    least: int
    """Least bytes that a search can end in, as far as that is known before it."""


def bounds_of(prepared: Prepared) -> Bounds:
    """Return the bytes between which a search by a supernet can end: that of all features, or of as few as can stay.

    Args:
        prepared: the data, and the configuration resolved for them.
    """
    resolved = prepared.resolved
    by_table = serving_bytes(resolved, prepared.state)
    fixed = [table.name for table in resolved.tables if not is_searchable(table)]
    least = serving_bytes(_without_tables(prepared), prepared.state)
    fixed_bytes = sum(by_table[name] for name in fixed)
    whole = sum(shape.serving_bytes for shape in searched_shapes(prepared).values())
    return Bounds(sum(by_table.values()), fixed_bytes + whole, fixed_bytes, sum(least.values()))


def serving_bytes(resolved: ResolvedConfig, state: TransformState) -> dict[str, int]:
    """Return the bytes of each table when it is served."""
    return {name: phases["serving"] for name, phases in total_bytes(resolved, state).items()}


def searched_shapes(prepared: Prepared) -> dict[str, TableShape]:
    """Return the shape of which nothing is cut of each vocabulary that a search by a supernet shapes."""
    resolved = prepared.resolved
    known = feature_vocabularies(resolved, prepared.state)
    return {
        name: TableShape.prefix(
            name, num_ids=known[name].size, dim=table.dim, width=table.dim, precision=rows_precision(table.spec)
        )
        for table in filter(is_searchable, resolved.tables)
        for name in resolved.vocabularies_in(table)
    }


def _without_tables(prepared: Prepared) -> ResolvedConfig:
    """Return the configuration of which a search has dropped all that it can; what others need keeps a narrow row."""
    resolved = prepared.resolved
    nothing = {name: replace(shape, columns=((),)) for name, shape in searched_shapes(prepared).items()}
    found = shape_changes(resolved.config, prepared, nothing, kept=Path())
    return resolve(with_changes(resolved.config, found.keys), resolved.input_columns())


def read_search_budget(budget: str | float | None, bounds: Bounds, *, where: str = "--budget") -> int | None:
    """Return a budget in bytes; None if none is given.

    Args:
        budget: "8MB", or a fraction of the bytes of the user's configuration.
        bounds: what a search can end in.
        where: the option that states it, for messages.

    Raises:
        ConfigError: it is no budget, more than there is, or less than a search can end in.
    """
    if budget is None:
        return None
    allowed = budget_bytes(read_budget(str(budget), where=where), bounds.full)
    assert allowed is not None
    if allowed >= bounds.full:
        raise ConfigError(
            f"{where}: the tables take {format_bytes(bounds.full)} as they are, so {format_bytes(allowed)} leave "
            "nothing to do; give less"
        )
    if allowed < max(bounds.least, 1):
        fixed = (
            f": the tables whose scheme is not full take {format_bytes(bounds.fixed)}, and the search leaves them as "
            "they are"
        )
        raise ConfigError(
            f"{where}: {format_bytes(allowed)} cannot be reached; the least is {format_bytes(max(bounds.least, 1))}"
            f"{fixed if bounds.fixed else ''}"
        )
    return allowed


def ladder(bounds: Bounds, allowed: int | None) -> list[int]:
    """Return the budgets to look for candidates at, the largest first; the one that is asked for among them.

    >>> ladder(Bounds(full=2000, whole=1000, fixed=0, least=16), 200)
    [750, 500, 350, 250, 200, 175, 125, 87, 62, 30]
    """
    free = bounds.whole - bounds.fixed
    wanted = {bounds.fixed + int(free * share) for share in SHARES} | ({allowed} if allowed is not None else set())
    return sorted(wanted, reverse=True)
