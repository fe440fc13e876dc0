"""Keys: the 64-bit integers that stand for the values of a column, the same in every language and release."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
import polars_hash
from numpy.typing import NDArray

from recsys.features.missing import fill_missing

__all__ = ["HASH", "HASH_VERSION", "NULL_KEY", "KeyKind", "Keys", "cross_key", "mix64", "xxhash64_keys"]

Keys = NDArray[np.int64]
KeyKind = Literal["int", "text"]
"""Way in which values become keys: the integer itself, or the hash of the text."""

NULL_KEY = -(2**63)
"""Key of a missing value."""
HASH_VERSION = 1
"""Changes when any function of this module does, or how hashed embedding tables find their rows
(`recsys.embeddings.hashing`): fitted states, runs and exported models of another version are useless."""
HASH = f"xxhash64/{HASH_VERSION}"
"""Name of the hash in the signature of a bundle."""


def mix64(keys: Keys) -> Keys:
    """Scatter keys over all 64 bits, one to one.

    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014, section 4.1 (the constants are
    David Stafford's variant 13, as in splitmix64).
    DIFF: only the finaliser; the Weyl increment before it is left out.

    >>> mix64(np.array([0, 1, -1])).tolist()
    [0, 6238072747940578789, -5417735806833148549]

    Args:
        keys: int64, any shape.

    Returns:
        int64 of the same shape; arithmetic wraps modulo 2**64.
    """
    z = keys.view(np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z.view(np.int64)


def cross_key(members: Sequence[Keys]) -> Keys:
    """Fold the keys of several columns into one key a row; the order of the columns matters.

    Args:
        members: at least one array, each (rows,) int64.

    Returns:
        (rows,) int64: mix64(... mix64(mix64(k0) ^ k1) ... ^ kn).
    """
    key = mix64(members[0])
    for member in members[1:]:
        key = mix64(key ^ member)
    return key


def xxhash64_keys(texts: pl.Series) -> pl.Series:
    """Hash the UTF-8 bytes of each text by xxhash64 (seed 0) and read the hash as int64; null is `NULL_KEY`.

    >>> xxhash64_keys(pl.Series(["", None])).to_list()
    [-1205034819632174695, -9223372036854775808]
    """
    hashed = pl.DataFrame({"text": texts}).select(polars_hash.col("text").nchash.xxhash64()).to_series()
    keys = fill_missing(hashed, 2**63).to_numpy().view(np.int64)  # NULL_KEY without a sign
    return pl.Series(texts.name, keys)
