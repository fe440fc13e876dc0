"""Seeds that hang on `train.seed`, one for each purpose."""

import hashlib

__all__ = ["seed_of"]


def seed_of(*parts: int | str) -> int:
    """Return a 63-bit seed for a purpose, named by any parts of which the first is `train.seed`.

    >>> seed_of(1, "rank", 2) == seed_of(1, "rank", 2), seed_of(1, "rank", 2) == seed_of(1, "rank", 3)
    (True, False)
    """
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
