"""Ids that a scheme cannot tell apart: all of their rows are also those of another id of the same vocabulary.

Dimension key: V ids, K physical lookups.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recsys.embeddings.hashing import mix64
from recsys.embeddings.scheme import Scheme

__all__ = ["MOST_IDS", "Sharing", "expected_sharing", "ids_that_share", "is_counted", "sharing"]

CHUNK = 2**20
"""Ids that are remapped at once."""
MOST_IDS = 20_000_000
"""Of a vocabulary whose rows are looked at, in some seconds; for larger ones there is the formula."""


class Sharing(NamedTuple):
    """Ids of one vocabulary that share all of their rows with another of its ids."""

    expected: float | None
    """By the laws of chance; None where chance does not decide, or the vocabulary is open."""
    ids: int | None
    """Counted; None where there was nothing to count, or too much."""
    uses: float | None
    """Share of the occurrences in the training rows that are of such ids."""


def sharing(scheme: Scheme, place: int, *, counts: npt.NDArray[np.int64] | None = None) -> Sharing:
    """Return how many ids of the vocabulary at `place` share all of their rows.

    Args:
        scheme: if it is on the meta device, nothing is counted.
        place: of the vocabulary in the scheme.
        counts: occurrences of each id in the training rows, (V,).
    """
    expected = expected_sharing(scheme, place)
    if scheme.id_collisions == "never":
        return Sharing(expected, 0, 0.0)
    if not is_counted(scheme, place):
        return Sharing(expected, None, None)
    shares_V = ids_that_share(scheme, place)
    uses = None if counts is None else float(counts[shares_V].sum() / max(counts.sum(), 1))
    return Sharing(expected, int(shares_V.sum()), uses)


def is_counted(scheme: Scheme, place: int) -> bool:
    """Say whether the rows of each id of a vocabulary must be looked at to know which ids share them."""
    size = scheme.vocabularies[place].num_ids
    return scheme.id_collisions == "by_hashing" and size is not None and size <= MOST_IDS


def expected_sharing(scheme: Scheme, place: int) -> float | None:
    """Return how many ids of a vocabulary can be expected to share all of their rows with another of its ids."""
    if scheme.vocabularies[place].num_ids is None or scheme.id_collisions == "by_training":
        return None
    return 0.0 if scheme.id_collisions == "never" else scheme.expected_id_collisions(place)


def ids_that_share(scheme: Scheme, place: int) -> npt.NDArray[np.bool_]:
    """Say for each id of a vocabulary whether another of its ids has the same rows: (V,)."""
    size = scheme.vocabularies[place].size
    key_V = torch.cat(
        [_keys(scheme, place, torch.arange(i, min(i + CHUNK, size))) for i in range(0, size, CHUNK)]
    ).numpy()
    order_V = np.argsort(key_V)
    same = np.diff(key_V[order_V]) == 0
    shares_V = np.zeros(size, dtype=np.bool_)
    shares_V[order_V] = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    return shares_V


def _keys(scheme: Scheme, place: int, id_V: Tensor) -> Tensor:
    """Return an int64 for each id that is equal for equal rows, and else never by any chance that matters."""
    row_KV = scheme.lookup_positions(id_V, place)
    key_V = row_KV[0]
    for row_V in row_KV[1:]:
        key_V = mix64(key_V) ^ row_V
    return key_V
