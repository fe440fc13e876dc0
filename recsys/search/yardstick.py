"""One width for all tables: the whole rows, and what a search within a budget must beat."""

from collections.abc import Iterator
from itertools import islice

from recsys.search.candidate import Candidate
from recsys.search.supernet import gated_tables, prefix_shape, table_bytes
from recsys.training.build import LoadedModel

__all__ = ["is_yardstick", "uniforms_within", "whole"]

WHOLE = "whole"
"""Name of the candidate of which nothing is cut."""
YARDSTICK = "uniform-"
"""First part of the names of narrower ones; the width follows."""
WIDTH_STEP = 4


def whole(loaded: LoadedModel) -> Candidate:
    """Return the candidate of which nothing is cut; its rows have the precision that the search prefers.

    Args:
        loaded: the supernet.
    """
    return _uniform(loaded, _widest(loaded), choice=0)


def uniforms_within(loaded: LoadedModel, budget: int) -> Iterator[Candidate]:
    """Yield the candidate of each precision in which all searched tables have one width, the largest within a budget.

    Nothing but training tells whether wide rows of 16 bits are better than narrower ones of 32: on CPUs, FBGEMM drops
    changes of a weight that are below half of what 16 bits resolve.

    Args:
        loaded: the supernet.
        budget: most bytes of all tables as they are served.

    Yields:
        None of a precision in which not even the narrowest rows keep to it. Tables that are narrower than the width
        stay as they are.
    """
    for choice in range(max(len(scheme.found_precisions) for scheme in gated_tables(loaded).values())):
        candidates = (_uniform(loaded, width, choice) for width in range(_widest(loaded), 0, -WIDTH_STEP))
        small = (one for one in candidates if table_bytes(loaded, one.shapes).serving <= budget)
        yield from islice(small, 1)


def is_yardstick(name: str) -> bool:
    """Return whether a candidate is one to beat.

    >>> is_yardstick("uniform-8-fp32"), is_yardstick("whole"), is_yardstick("172448-bytes")
    (True, True, False)
    """
    return name == WHOLE or name.startswith(YARDSTICK)


def _uniform(loaded: LoadedModel, width: int, choice: int) -> Candidate:
    """Return the candidate of one width, whose rows have that of the precisions which comes at a place."""
    shapes = {
        name: prefix_shape(
            scheme,
            min(width, scheme.dim),
            precision=scheme.found_precisions[min(choice, len(scheme.found_precisions) - 1)],
        )
        for name, scheme in gated_tables(loaded).items()
    }
    precisions = "-".join(sorted({shape.precision for shape in shapes.values()}))
    is_whole = choice == 0 and width == _widest(loaded)
    return Candidate(name=WHOLE if is_whole else f"{YARDSTICK}{width}-{precisions}", shapes=shapes)


def _widest(loaded: LoadedModel) -> int:
    return max(scheme.dim for scheme in gated_tables(loaded).values())
