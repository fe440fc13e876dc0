"""One width for all tables: the whole rows, and what a search within a budget must beat."""

from recsys.search.candidate import Candidate
from recsys.search.supernet import gated_tables, prefix_shape, table_bytes
from recsys.training.build import LoadedModel

__all__ = ["is_yardstick", "uniform_within", "whole"]

WHOLE = "whole"
"""Name of the candidate of which nothing is cut."""
YARDSTICK = "uniform-"
"""First part of the names of narrower ones; the width follows."""
WIDTH_STEP = 4


def whole(loaded: LoadedModel) -> Candidate:
    """Return the candidate of which nothing is cut; it may still have rows of another precision than the user's.

    Args:
        loaded: the supernet.
    """
    return _uniform(loaded, _widest(loaded), WHOLE)


def uniform_within(loaded: LoadedModel, budget: int) -> Candidate | None:
    """Return the candidate in which all searched tables have one width, the largest within a budget.

    Args:
        loaded: the supernet.
        budget: most bytes of all tables as they are served.

    Returns:
        None if not even the narrowest rows keep to it. Tables that are narrower than the width stay as they are.
    """
    everything = whole(loaded)
    if table_bytes(loaded, everything.shapes).serving <= budget:
        return everything
    widths = range(_widest(loaded) - WIDTH_STEP, 0, -WIDTH_STEP)
    candidates = (_uniform(loaded, width, f"{YARDSTICK}{width}") for width in widths)
    return next((one for one in candidates if table_bytes(loaded, one.shapes).serving <= budget), None)


def is_yardstick(name: str) -> bool:
    """Return whether a candidate is one to beat.

    >>> is_yardstick("uniform-8"), is_yardstick("whole"), is_yardstick("172448-bytes")
    (True, True, False)
    """
    return name == WHOLE or name.startswith(YARDSTICK)


def _uniform(loaded: LoadedModel, width: int, name: str) -> Candidate:
    tables = gated_tables(loaded)
    return Candidate(name=name, shapes={key: prefix_shape(one, min(width, one.dim)) for key, one in tables.items()})


def _widest(loaded: LoadedModel) -> int:
    return max(scheme.dim for scheme in gated_tables(loaded).values())
