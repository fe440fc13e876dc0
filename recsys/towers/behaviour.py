"""One kind of history of every row of a batch.

Dimension key: B rows of a batch, E width of an entry, Q width of what the candidate has, too (Q <= E), V entries of
all histories of a batch, laid end to end.
"""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Behaviour"]


class Behaviour(NamedTuple):
    """One kind of history of every row of a batch; jagged, without padding."""

    target: Tensor
    """The candidate, (B, Q)."""
    history: Tensor
    """Embeddings of the history, (V, E); the entries of a row follow each other. The first Q columns are of the same
    embeddings as the target; the others, if there are any, are what the candidate has nothing like, such as ratings."""
    lengths: Tensor
    """Number of entries of each row, (B,); 0 is allowed."""
