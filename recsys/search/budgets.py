"""The bytes that a search may spend: what was asked, what is there, and what cannot be saved."""

from typing import NamedTuple

from recsys.config.budget import budget_bytes, read_budget
from recsys.data.prepared import Prepared
from recsys.embeddings.costs import total_bytes
from recsys.errors import ConfigError
from recsys.search.supernet import is_searchable
from recsys.units import format_bytes

__all__ = ["Bounds", "bounds_of", "ladder", "read_search_budget"]

SHARES = (0.75, 0.5, 0.35, 0.25, 0.175, 0.125, 0.0875, 0.0625, 0.03)
"""Shares of the bytes that can be saved, at which candidates are wanted beside the budget."""


class Bounds(NamedTuple):
    """Bytes of all tables when they are served."""

    full: int
    """Bytes of the user's configuration as it is."""
    fixed: int
    """Bytes of the tables that the search leaves as they are."""


def bounds_of(prepared: Prepared, *, all_tables: bool = False) -> Bounds:
    """Return the most and the least bytes that a search can end in.

    Args:
        prepared: the data, and the configuration resolved for them.
        all_tables: whether the search changes tables of all schemes, and not only full ones.
    """
    resolved = prepared.resolved
    by_table = {name: phases["serving"] for name, phases in total_bytes(resolved, prepared.state).items()}
    fixed = [table.name for table in resolved.tables if not (all_tables or is_searchable(table))]
    return Bounds(sum(by_table.values()), sum(by_table[name] for name in fixed))


def read_search_budget(budget: str | float | None, bounds: Bounds, *, where: str = "--budget") -> int | None:
    """Return a budget in bytes; None if none is given.

    Args:
        budget: "8MB", or a fraction of the bytes of the user's configuration.
        bounds: what a search can end in.
        where: the option that states it, for messages.

    Raises:
        ConfigError: it is no budget, more than there is, or less than what the search leaves as it is.
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
    if allowed <= bounds.fixed:
        raise ConfigError(
            f"{where}: {format_bytes(allowed)} cannot be reached: the tables whose scheme is not full take "
            f"{format_bytes(bounds.fixed)}, and the search leaves them as they are"
            if bounds.fixed
            else f"{where}: {format_bytes(allowed)} leave no row of any table; the least is one, of 16 B"
        )
    return allowed


def ladder(bounds: Bounds, allowed: int | None) -> list[int]:
    """Return the budgets to look for candidates at, the largest first; the one that is asked for among them.

    >>> ladder(Bounds(full=1000, fixed=0), 200)
    [750, 500, 350, 250, 200, 175, 125, 87, 62, 30]
    """
    free = bounds.full - bounds.fixed
    wanted = {bounds.fixed + int(free * share) for share in SHARES} | ({allowed} if allowed is not None else set())
    return sorted(wanted, reverse=True)
