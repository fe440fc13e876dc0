"""Hashing of 64-bit keys with PyTorch, bit-identical to `recsys.features.fingerprint`, which uses numpy.

Dimension key: V keys.
"""

import hashlib
import math

import torch
from torch import Tensor

__all__ = ["expected_collisions", "modulo_collisions", "mix64", "name_salt", "salted"]


def mix64(key_V: Tensor) -> Tensor:
    """Mix the bits of int64 keys by splitmix64's finalizer, a bijection whose low bits depend on all bits of the key.

    PyTorch has no logical shift of int64; the sign bits that an arithmetic shift fills in are masked.

    Shape: (V,) int64 -> (V,) int64.
    """
    z = (key_V ^ ((key_V >> 30) & 0x3FFFFFFFF)) * -4658895280553007687  # 0xBF58476D1CE4E5B9
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685  # 0x94D049BB133111EB
    return z ^ ((z >> 31) & 0x1FFFFFFFF)


def name_salt(name: str) -> int:
    """Return an int64 that depends on the name alone, so that other features do not change a feature's hashes.

    >>> name_salt("user_id") == name_salt("user_id") != name_salt("item_id")
    True
    """
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)


def salted(key_V: Tensor, salt: int) -> Tensor:
    """Return keys that are hashed with a salt: (V,) int64 -> (V,) int64."""
    return mix64(key_V ^ torch.full((1,), salt, dtype=torch.int64, device=key_V.device))


def expected_collisions(num_ids: int, log_buckets: float) -> float:
    """Return the expected number of ids that are not alone in their bucket, of exp(`log_buckets`) random buckets.

    >>> round(expected_collisions(2, math.log(4)), 9)
    0.5
    """
    if num_ids < 2:
        return 0.0
    if log_buckets <= 0:
        return float(num_ids)
    return num_ids * -math.expm1((num_ids - 1) * math.log1p(-math.exp(-log_buckets)))


def modulo_collisions(num_ids: int, rows: int) -> float:
    """Return how many of `num_ids` consecutive ids are equal to another modulo `rows`.

    >>> modulo_collisions(12, 10), modulo_collisions(30, 10)
    (4.0, 30.0)
    """
    return float(min(max(2 * (num_ids - rows), 0), num_ids))
