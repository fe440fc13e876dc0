"""Collisions: ids that a scheme stores in exactly the rows of another id, so that the model cannot tell them apart.

Dimension key: V ids, K physical lookups.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recsys.embeddings.hashing import mix64
from recsys.embeddings.scheme import Scheme

__all__ = ["MAX_IDS", "Collisions", "colliding_ids", "collisions_of", "expected_colliding_ids", "is_countable"]

CHUNK = 2**20
"""Ids that are remapped at once."""
MAX_IDS = 20_000_000
"""Ids of the largest vocabulary whose rows are compared, which takes some seconds; larger ones are only estimated."""


class Collisions(NamedTuple):
    """Ids of one vocabulary all of whose rows are also those of another of its ids."""

    expected: float | None
    """Expected number of ids, over random hashes; None if training decides, or the vocabulary is open."""
    ids: int | None
    """Number of ids, counted; None if they cannot be counted."""
    uses: float | None
    """Fraction of the feature's values in the training rows that are such ids; None if not counted."""


def collisions_of(scheme: Scheme, feature_index: int, *, counts: npt.NDArray[np.int64] | None = None) -> Collisions:
    """Return how many ids of a vocabulary collide.

    Args:
        scheme: The scheme that stores the ids; not on the meta device if `is_countable`.
        feature_index: Index of the vocabulary in the scheme.
        counts: Occurrences of each id in the training rows, (V,).
    """
    expected = expected_colliding_ids(scheme, feature_index)
    if scheme.id_collisions == "never":
        return Collisions(expected, 0, 0.0)
    if not is_countable(scheme, feature_index):
        return Collisions(expected, None, None)
    collides_V = colliding_ids(scheme, feature_index)
    uses = None if counts is None else float(counts[collides_V].sum() / max(counts.sum(), 1))
    return Collisions(expected, int(collides_V.sum()), uses)


def is_countable(scheme: Scheme, feature_index: int) -> bool:
    """Return whether collisions are counted by comparing the rows of all ids of a vocabulary."""
    size = scheme.vocabularies[feature_index].num_ids
    return scheme.id_collisions == "by_hashing" and size is not None and size <= MAX_IDS


def expected_colliding_ids(scheme: Scheme, feature_index: int) -> float | None:
    """Return the expected number of colliding ids of a vocabulary; None if training decides, or it is open."""
    if scheme.vocabularies[feature_index].num_ids is None or scheme.id_collisions == "by_training":
        return None
    return 0.0 if scheme.id_collisions == "never" else scheme.expected_id_collisions(feature_index)


def colliding_ids(scheme: Scheme, feature_index: int) -> npt.NDArray[np.bool_]:
    """Return for each id of a vocabulary whether another of its ids has the same rows: (V,)."""
    size = scheme.vocabularies[feature_index].size
    chunks = (torch.arange(i, min(i + CHUNK, size)) for i in range(0, size, CHUNK))
    key_V = torch.cat([_row_keys(scheme, feature_index, id_V) for id_V in chunks]).numpy()
    order_V = np.argsort(key_V)
    is_same = np.diff(key_V[order_V]) == 0
    collides_V = np.zeros(size, dtype=np.bool_)
    collides_V[order_V] = np.concatenate([is_same, [False]]) | np.concatenate([[False], is_same])
    return collides_V


def _row_keys(scheme: Scheme, feature_index: int, id_V: Tensor) -> Tensor:
    """Return a hash (V,) int64 of the rows of each id, so long that different rows hardly ever have the same."""
    row_KV = scheme.lookup_positions(id_V, feature_index)
    key_V = row_KV[0]
    for row_V in row_KV[1:]:
        key_V = mix64(key_V) ^ row_V
    return key_V
