"""Ranges of the numbers of a configuration: every number has a largest value, beyond which it can only be a mistake.

The ranges are far wider than what is sensible. They keep a slip of the finger from ending in an overflow, or in hours
of work and all of the memory.
"""

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

__all__ = [
    "DIMS",
    "Count",
    "CountOrZero",
    "Dim",
    "Epochs",
    "Layers",
    "LearningRate",
    "ListLength",
    "Penalty",
    "Rate",
    "Seed",
    "Share",
    "Step",
    "Units",
    "check_weights",
    "rows_together",
]

DIMS = range(4, 1025, 4)
"""Widths of embeddings that FBGEMM reads."""
Dim = Annotated[int, Field(ge=DIMS[0], le=DIMS[-1], multiple_of=DIMS.step)]
"""Width of an embedding."""
_MOST = 10**12
"""More rows than a cluster stores, whose bytes at the largest width still are a 64-bit number."""
Count = Annotated[int, Field(ge=1, le=_MOST)]
"""Number of rows, ids, floats or steps."""
CountOrZero = Annotated[int, Field(ge=0, le=_MOST)]
"""Number of rows or ids, of which there may be none."""
ListLength = Annotated[int, Field(ge=1, le=10**6)]
"""Number of entries of one row's list."""
Units = Annotated[int, Field(ge=1, le=2**14)]
"""Units of a layer; the weights between two of the largest take 1 GB."""
Layers = Annotated[int, Field(ge=1, le=64)]
"""Number of layers, one after the other."""
Epochs = Annotated[int, Field(ge=1, le=10**6)]
"""Number of epochs."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Start of a random sequence: what torch takes as one."""
Share = Annotated[float, Field(gt=0, lt=1)]
"""Part of a whole, neither nothing nor all."""
Rate = Annotated[float, Field(ge=0, lt=1)]
"""Part of a whole, or nothing."""
LearningRate = Annotated[float, Field(gt=0, le=1e38)]
"""Learning rate: a 32-bit float."""
Penalty = Annotated[float, Field(ge=0, le=10**6)]
"""Factor of a penalty, or exponent; 0 is none."""
Step = Annotated[float, Field(ge=1e-30, le=10**6)]
"""Distance between two numbers, or what is added to one, in 32-bit floats; one over it is such a float too."""
MOST_WEIGHTS = 10**9
"""Weights between the layers of one network: 16 GB with their gradients and Adam's moments."""


def rows_together(width: int) -> int:
    """Return how many rows of a width lie side by side in a physical row, which FBGEMM can read.

    >>> [rows_together(width) for width in (1, 2, 3, 4, 6, 8)]
    [4, 2, 4, 1, 2, 1]
    """
    return DIMS.step // math.gcd(width, DIMS.step)


def check_weights(key: str, num_weights: int) -> Iterator[tuple[tuple[str], str]]:
    """Yield that the layers which `key` sets are each small enough, and too large together."""
    if num_weights > MOST_WEIGHTS:
        yield (key,), f"must make at most {MOST_WEIGHTS:,} weights between layers, got {num_weights:,}"
