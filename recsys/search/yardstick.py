"""One width for all tables, which a search within a budget must beat."""

from recsys.search.candidate import Candidate
from recsys.search.supernet import gated_tables, prefix_shape, table_bytes
from recsys.training.build import LoadedModel

__all__ = ["is_yardstick", "uniform_within"]

YARDSTICK = "uniform-"
"""First part of the name of the candidate; the width follows."""
WIDTH_STEP = 4


def uniform_within(loaded: LoadedModel, budget: int) -> Candidate | None:
    """Return the candidate in which all searched tables have one width, the largest within a budget.

    Args:
        loaded: the supernet.
        budget: most bytes of all tables as they are served.

    Returns:
        None if not even the narrowest rows keep to it. Tables that are narrower than the width stay as they are.
    """
    tables = gated_tables(loaded)
    widest = max(scheme.dim for scheme in tables.values())
    for width in range(widest, 0, -WIDTH_STEP):
        shapes = {name: prefix_shape(scheme, min(width, scheme.dim)) for name, scheme in tables.items()}
        if table_bytes(loaded, shapes).serving <= budget:
            return Candidate(name=f"{YARDSTICK}{width}", shapes=shapes)
    return None


def is_yardstick(name: str) -> bool:
    """Return whether a candidate is the one to beat.

    >>> is_yardstick("uniform-8"), is_yardstick("172448-bytes")
    (True, False)
    """
    return name.startswith(YARDSTICK)
