"""Ids that a scheme cannot tell apart: all of their rows are also those of another id of the same vocabulary.

Dimension key: V ids, K physical lookups.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recsys.embeddings.adaptemb import AdaptEmb
from recsys.embeddings.alpt import Alpt
from recsys.embeddings.dedup import Dedup
from recsys.embeddings.deeplight import DeepLight
from recsys.embeddings.dhe import Dhe
from recsys.embeddings.dpq import Dpq
from recsys.embeddings.full import Full
from recsys.embeddings.hash import Hash
from recsys.embeddings.hashing import mix64
from recsys.embeddings.integer import Integer
from recsys.embeddings.md import Md
from recsys.embeddings.mgqe import Mgqe
from recsys.embeddings.multi_hash import MultiHash
from recsys.embeddings.qr import Qr
from recsys.embeddings.robe import Robe
from recsys.embeddings.scheme import Scheme
from recsys.embeddings.tt_rec import TtRec
from recsys.embeddings.unified import Unified

__all__ = ["MOST_IDS", "Sharing", "expected_sharing", "ids_that_share", "is_counted", "sharing"]

CHUNK = 2**20
"""Ids that are remapped at once."""
MOST_IDS = 20_000_000
"""Of a vocabulary whose rows are looked at, in some seconds; for larger ones there is the formula."""

DISTINCT: tuple[type[Scheme], ...] = (Full, Qr, TtRec, Md, Integer, Alpt)
"""Schemes that give every id something of its own."""
TRAINED: tuple[type[Scheme], ...] = (Dpq, Mgqe, Dedup, DeepLight, Dhe)
"""Schemes in which training decides which ids become alike."""


class Sharing(NamedTuple):
    """Ids of one vocabulary that share all of their rows with another of its ids."""

    expected: float | None
    """By the laws of chance; None where chance does not decide, or the vocabulary is open."""
    ids: int | None
    """Counted; None where there was nothing to count, or too much."""
    uses: float | None
    """Share of the occurrences in the training rows that are of such ids."""


def sharing(scheme: Scheme, place: int, *, counts: npt.NDArray[np.int64] | None = None) -> Sharing:
    """Return how many ids of the member at `place` share all of their rows.

    Args:
        scheme: if it is on the meta device, nothing is counted.
        place: of the member in the scheme.
        counts: occurrences of each id in the training rows, (V,).
    """
    expected = expected_sharing(scheme, place)
    if is_distinct(scheme):
        return Sharing(expected, 0, 0.0)
    if not is_counted(scheme, place):
        return Sharing(expected, None, None)
    shares_V = ids_that_share(scheme, place)
    uses = None if counts is None else float(counts[shares_V].sum() / max(counts.sum(), 1))
    return Sharing(expected, int(shares_V.sum()), uses)


def is_distinct(scheme: Scheme) -> bool:
    """Say whether no two ids can become one."""
    return isinstance(scheme, DISTINCT) and not isinstance(scheme, TRAINED)  # DeepLight is a Full that prunes


def is_counted(scheme: Scheme, place: int) -> bool:
    """Say whether the rows of each id of a member must be looked at to know which ids share them."""
    size = scheme.members[place].num_ids
    has_rows = not isinstance(scheme, DISTINCT + TRAINED) and bool(scheme.tables(place))
    return has_rows and size is not None and size <= MOST_IDS


def expected_sharing(scheme: Scheme, place: int) -> float | None:
    """Return how many ids of a member can be expected to share all of their rows with another of its ids."""
    size = scheme.members[place].num_ids
    if size is None:
        return None
    if is_distinct(scheme) or size == 1:
        return 0.0
    if isinstance(scheme, AdaptEmb):
        return _modulo(size - scheme.num_hot, scheme.rows - scheme.num_hot)
    if isinstance(scheme, Hash) and not scheme.is_scrambled[place]:
        return _modulo(size, scheme.rows)
    if not isinstance(scheme, Hash | Unified | MultiHash | Robe):
        return None
    places = _log_places(scheme, place)
    return float(size) if places <= 0 else size * -math.expm1((size - 1) * math.log1p(-math.exp(-places)))


def _modulo(size: int, rows: int) -> float:
    """Return how many of consecutive ids agree with another modulo `rows`."""
    return float(min(max(2 * (size - rows), 0), size))


def _log_places(scheme: Scheme, place: int) -> float:
    """Return the logarithm of the number of equally likely sets of rows of an id."""
    if isinstance(scheme, Robe):
        return len(scheme.salts[place]) * math.log(scheme.rows * scheme.chunk)
    rows = [math.log(table.rows) for table in scheme.tables(place)]
    return sum(rows) - (math.lgamma(len(rows) + 1) if _is_sum(scheme) else 0.0)


def _is_sum(scheme: Scheme) -> bool:
    """Say whether the order of an id's rows makes no difference."""
    return isinstance(scheme, MultiHash) and not scheme.importance_rows


def ids_that_share(scheme: Scheme, place: int) -> npt.NDArray[np.bool_]:
    """Say for each id of a member whether another of its ids has the same rows: (V,)."""
    size = scheme.members[place].size
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
    # A slice of ROBE's array may begin anywhere in a row: ids are one only if it begins at the same float.
    row_KV = scheme._offsets(id_V, place) if isinstance(scheme, Robe) else scheme.remap(id_V, place)
    if _is_sum(scheme):
        row_KV = row_KV.sort(dim=0).values
    key_V = row_KV[0]
    for row_V in row_KV[1:]:
        key_V = mix64(key_V) ^ row_V
    return key_V
